//! Looks at the files of TLS again and again, and takes what has replaced them.

use super::{Own, identity, refused, usable};
use campaign::InvalidUsage;
use ports::Telemetry;
use real::tls::{EXPIRES, Identity, Renewal};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// Begins to look: on a thread of its own, since a file system may hang.
pub fn watch(own: Own, telemetry: Arc<dyn Telemetry>) {
    tell(&own.identity, &*telemetry);
    let looks = std::thread::Builder::new().name("certificates".to_owned()).spawn(move || {
        let mut renewal = Renewal::new(Ok(own.identity.clone()));
        loop {
            std::thread::sleep(LOOK);
            own.look(&mut renewal, &*telemetry);
        }
    });
    looks.map(drop).expect("the operating system has a thread for us");
}

/// What files hold, or why they cannot be read.
type Found = Result<Identity, String>;

impl Own {
    /// One look.
    fn look(&self, renewal: &mut Renewal<Found>, telemetry: &dyn Telemetry) {
        let found = identity(&self.files).map_err(|InvalidUsage(why)| why);
        let taken = match renewal.look(found) {
            None => return,
            Some(Ok(identity)) => self.take(identity).map(|()| tell(identity, telemetry)),
            Some(Err(why)) => Err(why.clone()),
        };
        match taken {
            Ok(()) => renewal.accept(),
            Err(why) if renewal.refuse() => {
                tracing::error!("the earlier certificate stays in force: {why}");
            }
            Err(_) => {}
        }
    }

    fn take(&self, identity: &Identity) -> Result<(), String> {
        let taken = usable(identity, &self.hosts);
        let taken = taken.and_then(|()| self.certificates.replace(identity));
        taken.map_err(|error| refused(&self.files, &error).0)?;
        tracing::info!(certificate = self.files.certificate, "a new certificate is in force");
        Ok(())
    }
}

/// When it runs out, as a number for operators.
fn tell(identity: &Identity, telemetry: &dyn Telemetry) {
    if let Some(at) = identity.expires() {
        telemetry.gauge(EXPIRES, at, 0);
    } else {
        tracing::warn!("when the certificate runs out cannot be read");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loadgen::Encryption;
    use protocol::TlsFiles;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Counts how often it was told of a certificate.
    #[derive(Default)]
    struct Told(AtomicU64);

    impl Telemetry for Told {
        fn gauge(&self, name: &'static str, _: u64, _: u64) {
            assert_eq!(name, EXPIRES);
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn count(&self, _: &'static str, _: u64) {}

        fn time(&self, _: &'static str, _: Duration) {}
    }

    fn made(folder: &Path) -> TlsFiles {
        let made = Encryption::for_a_run(folder).expect("it is a good disk");
        made.files.expect("they were just written")
    }

    #[test]
    fn files_are_taken_when_all_of_them_have_been_replaced() {
        let folder = std::env::temp_dir().join(format!("fracas-renewal-{}", std::process::id()));
        let (files, new) = (made(&folder.join("old")), made(&folder.join("new")));
        let own = Own::read(&files, vec!["127.0.0.1".to_owned()]).expect("it was just made");
        let (mut renewal, told) = (Renewal::new(Ok(own.identity.clone())), Told::default());
        let mut look = || {
            (0..3).for_each(|_| own.look(&mut renewal, &told));
            told.0.load(Ordering::Relaxed)
        };
        let replace = |with: &str, file: &str| std::fs::copy(with, file).expect("a copy");

        assert_eq!(look(), 0, "nothing is new");
        replace(&new.key, &files.key);
        assert_eq!(look(), 0, "the key is not that of the certificate");
        replace(&new.certificate, &files.certificate);
        assert_eq!(look(), 0, "the authority has not signed it");
        replace(&new.authority, &files.authority);
        assert_eq!(look(), 1, "all of them are new");
        std::fs::remove_file(&files.key).expect("it is there");
        assert_eq!(look(), 1, "there is no key");
        replace(&new.key, &files.key);
        assert_eq!(look(), 1, "it is back");
        std::fs::remove_dir_all(&folder).expect("our own folder");
    }
}
