//! Words: types with a few values, each with a name of its own.

use protocol::{LimitSet, StoreEngine};

/// Implements `TextForm` for a plain enum.
#[macro_export]
macro_rules! words {
    ($type:ty { $($word:literal => $value:expr),+ $(,)? }) => {
        impl $crate::value::TextForm for $type {
            fn expected() -> String {
                let quoted: Vec<String> =
                    Self::words().iter().map(|word| format!("\"{word}\"")).collect();
                match quoted.split_last() {
                    Some((last, [])) => last.clone(),
                    Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
                    None => String::new(),
                }
            }

            fn from_text(text: &str) -> Option<Self> {
                match text {
                    $($word => Some($value),)+
                    _ => None,
                }
            }

            fn text(&self) -> String {
                [$(($word, $value)),+]
                    .into_iter()
                    .find(|(_, value)| value == self)
                    .map(|(word, _)| word.to_owned())
                    .expect("every value has its word")
            }

            fn words() -> Vec<&'static str> {
                vec![$($word),+]
            }
        }
    };
}

words!(LimitSet { "default" => Self::Default, "tiny" => Self::Tiny });
words!(StoreEngine { "redb" => Self::Redb, "memory" => Self::Memory, "shared" => Self::Shared });
