//! What comes in: path segments, queries and JSON bodies, each refused with a sentence and, where
//! there is one, the nearest valid word.

use super::Rest;
use super::caller::Place;
use super::problem::{Kind, Problem};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, RawQuery, Request};
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use protocol::ids::MAX_CLIENT_CHOSEN_ID;
use protocol::{ConversationId, UserId, limits};
use serde::Deserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Characters of an unknown word that are repeated in the answer.
const SHOWN: usize = 64;
/// How long a body may take: the largest one then needs no more than 9 KB a second.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The numbers in the path, in their order.
pub struct Ids<const N: usize>([u64; N]);

impl Ids<1> {
    /// The one number, as a conversation.
    pub fn conversation(&self) -> ConversationId {
        ConversationId(self.0[0])
    }

    /// The one number.
    pub fn number(&self) -> u64 {
        self.0[0]
    }
}

impl Ids<2> {
    /// A conversation and a user.
    pub fn conversation_and_user(&self) -> (ConversationId, UserId) {
        (ConversationId(self.0[0]), UserId(self.0[1]))
    }
}

impl<const N: usize> FromRequestParts<Arc<Rest>> for Ids<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Arc<Rest>) -> Result<Self, Problem> {
        let wrong = || {
            let detail =
                format!("ids in the path are whole numbers from 1 to {MAX_CLIENT_CHOSEN_ID}");
            Problem::new(Kind::Malformed, detail)
        };
        let Path(texts) =
            Path::<Vec<String>>::from_request_parts(parts, rest).await.map_err(|_| wrong())?;
        let ids: Option<Vec<u64>> = texts.iter().map(|text| id(text)).collect();
        Ok(Self(ids.and_then(|ids| ids.try_into().ok()).ok_or_else(wrong)?))
    }
}

fn id(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| plain && (1..=MAX_CLIENT_CHOSEN_ID).contains(id))
}

/// `after` and `limit` of a page, and `user` where a service may ask for somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Behind this one; zero: from the beginning.
    pub after: u64,
    /// At most this many.
    pub limit: u32,
    /// Whose, if asked.
    pub user: Option<UserId>,
}

impl FromRequestParts<Arc<Rest>> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Arc<Rest>) -> Result<Self, Problem> {
        let query = match RawQuery::from_request_parts(parts, rest).await {
            Ok(RawQuery(query)) => query.unwrap_or_default(),
            Err(never) => match never {},
        };
        Self::parse(&query)
    }
}

impl Page {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut page = Self { after: 0, limit: limits::MAX_PAGE, user: None };
        parameters(query, &["after", "limit", "user"], |name, value| {
            let wrong = |what: &str| Problem::new(Kind::Malformed, format!("{name} is {what}"));
            match name {
                "after" => page.after = value.parse().map_err(|_| wrong("a whole number"))?,
                "limit" => {
                    let limit = value.parse().ok().filter(|n| (1..=limits::MAX_PAGE).contains(n));
                    let range = format!("a whole number from 1 to {}", limits::MAX_PAGE);
                    page.limit = limit.ok_or_else(|| wrong(&range))?;
                }
                _ => {
                    let user = id(value).ok_or_else(|| wrong("the number of a user"))?;
                    page.user = Some(UserId(user));
                }
            }
            Ok(())
        })?;
        Ok(page)
    }
}

/// Reads a query of these parameters, each once at most, one after another.
pub fn parameters(
    query: &str,
    known: &[&str],
    mut read: impl FnMut(&str, &str) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = |what: &str| {
            let detail = format!("the query parameter {:?} {what}", shown(&name));
            Err(Problem::new(Kind::Malformed, detail))
        };
        if !known.contains(&&*name) {
            return wrong(&format!("is unknown; there are {}", known.join(", ")));
        }
        if !seen.insert(name.clone()) {
            return wrong("stands twice");
        }
        read(&name, &value)?;
    }
    Ok(())
}

/// As much of a word from outside as belongs into a sentence.
pub fn shown(word: &str) -> &str {
    word.char_indices().nth(SHOWN).map_or(word, |(end, _)| &word[..end])
}

/// A body that is read from JSON.
pub trait Fields: DeserializeOwned {
    /// The names of its fields.
    const FIELDS: &'static [&'static str];

    /// Reads it.
    fn read(body: &[u8]) -> Result<Self, Problem> {
        parse(body)
    }
}

/// A JSON body.
pub struct Json<T>(pub T);

impl<T: Fields> FromRequest<Arc<Rest>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, rest: &Arc<Rest>) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(Kind::UnsupportedMediaType, "send application/json"));
        }
        let place = request.extensions().get::<Place>().cloned().unwrap_or_default();
        place.leave();
        let body = arriving(Bytes::from_request(request, rest)).await?.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let most = limits::MAX_REST_BODY_BYTES;
                Problem::new(Kind::TooLarge, format!("at most {most} bytes"))
            } else {
                Problem::new(Kind::Malformed, "the body broke off")
            }
        })?;
        place.take(rest)?;
        T::read(&body).map(Self)
    }
}

/// Reads a body, but not for ever: a client that sends none would keep its connection for nothing.
pub async fn arriving<T>(body: impl Future<Output = T>) -> Result<T, Problem> {
    tokio::time::timeout(BODY_TIMEOUT, body).await.map_err(|_| {
        let seconds = BODY_TIMEOUT.as_secs();
        Problem::new(Kind::BodyTimeout, format!("the body must arrive within {seconds} s"))
    })
}

/// Reads an object of these fields, with the nearest word for an unknown one.
pub fn parse<T: Fields>(body: &[u8]) -> Result<T, Problem> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Problem::new(Kind::Malformed, format!("no JSON: {error}")))?;
    if let Some(twice) = repeated(body) {
        let detail = format!("the field {:?} stands twice", shown(&twice));
        return Err(Problem::new(Kind::Malformed, detail));
    }
    let Value::Object(fields) = &value else {
        return Err(Problem::new(Kind::Unprocessable, "the body must be a JSON object"));
    };
    if let Some(unknown) = fields.keys().find(|name| !T::FIELDS.contains(&name.as_str())) {
        let fields = T::FIELDS.join(", ");
        let detail = format!("the field {:?} is unknown; there are {fields}", shown(unknown));
        return Err(
            Problem::new(Kind::Unprocessable, detail).nearest(unknown, T::FIELDS.iter().copied())
        );
    }
    serde_json::from_value(value)
        .map_err(|error| Problem::new(Kind::Unprocessable, error.to_string()))
}

/// A name that an object has twice. `Value` keeps the last one without a word, so that two readers
/// of the same bytes could understand different things.
fn repeated(body: &[u8]) -> Option<String> {
    struct Names;

    impl<'de> Visitor<'de> for Names {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut seen, mut twice) = (BTreeSet::new(), None);
            while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
                if seen.contains(&name) {
                    twice = Some(name);
                } else {
                    seen.insert(name);
                }
            }
            Ok(twice)
        }
    }

    serde_json::Deserializer::from_slice(body).deserialize_map(Names).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_is_read_or_refused() {
        let page = |after, limit| Page { after, limit, user: None };
        let table = [
            ("", Some(page(0, limits::MAX_PAGE))),
            ("after=7&limit=3", Some(page(7, 3))),
            ("user=5", Some(Page { user: Some(UserId(5)), ..page(0, limits::MAX_PAGE) })),
            ("after=-1", None),
            ("after=", None),
            ("limit=0", None),
            ("limit=201", None),
            ("user=0", None),
            ("befor=7", None),
            ("limit=3&limit=3", None),
            ("after=1&limit=3&after=2", None),
        ];
        for (query, expected) in table {
            assert_eq!(Page::parse(query).ok(), expected, "{query}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_found() {
        for (body, expected) in [
            (r#"{"read":1,"delivered":2}"#, None),
            (r#"{"read":1,"read":1}"#, Some("read")),
            (r#"{"read":{"read":1},"\u0072ead":2}"#, Some("read")),
            ("[1,1]", None),
            ("{", None),
        ] {
            assert_eq!(repeated(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in "\\PC{0,80}") {
            let _ = Page::parse(&query);
        }
    }
}
