//! The certificate that the listener shows.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{Report, Severity};
use crate::config::HttpSettings;
use crate::keys::unix_now_s;
use crate::pki::validity;

pub(super) fn look(report: &mut Report, settings: &HttpSettings) {
    if let Some(files) = &settings.tls {
        super::folders::private(report, &files.key);
        file(report, &files.certificate, unix_now_s());
    }
}

fn file(report: &mut Report, path: &Path, now: u64) {
    let shown = path.display();
    let first = CertificateDer::pem_file_iter(path).map(|mut chain| chain.next());
    let first = match first {
        Ok(Some(Ok(first))) => first,
        Ok(None) => return unreadable(report, path, "there is no certificate in it"),
        Ok(Some(Err(error))) | Err(error) => return unreadable(report, path, &error.to_string()),
    };
    let Some(times) = validity(&first) else {
        return unreadable(report, path, "it is no certificate");
    };
    let (from, until) = (times.from_unix_s, times.until_unix_s);
    let mend = "renew it as you got it, put it in the same place, then restart the agent   (`systemctl restart skep`)";
    if now < from {
        let title = "the listener's certificate is not good yet";
        let finding = report.find(Severity::Error, "certificate_early", title);
        finding.seen(format!("{shown} begins {} s from now", from - now));
        finding.mend("timedatectl   (is the clock right?)");
    } else if until <= now {
        let title = "the listener's certificate has ended; browsers and clients refuse it";
        let finding = report.find(Severity::Error, "certificate_expired", title);
        finding.seen(format!("{shown} ended {} days ago", (now - until) / DAY_S));
        finding.mend(mend);
    } else if until - now < SOON_S {
        let title = "the listener's certificate ends soon";
        let finding = report.find(Severity::Warning, "certificate_ends_soon", title);
        finding.seen(format!("{shown} ends in {} days", (until - now) / DAY_S));
        finding.mend(mend);
    } else {
        report.well(format!(
            "the listener's certificate holds for {} days",
            (until - now) / DAY_S
        ));
    }
}

fn unreadable(report: &mut Report, path: &Path, why: &str) {
    let title = "the listener's certificate cannot be read; the agent will not start with it";
    let finding = report.find(Severity::Error, "certificate_unreadable", title);
    finding.seen(format!("{}: {why}", path.display()));
    finding.mend("name another with `http.tls_certificate`, or let the agent's user read this one");
}

const DAY_S: u64 = 86_400;

/// Whoever renews certificates by hand wants two weeks; who does it by a program has done it by then.
const SOON_S: u64 = 14 * DAY_S;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_judged_by_its_times() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cert.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let mut wish = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        wish.not_before = rcgen::date_time_ymd(2030, 1, 1);
        wish.not_after = rcgen::date_time_ymd(2030, 12, 31);
        std::fs::write(&path, wish.self_signed(&key).unwrap().pem()).unwrap();
        let code = |path: &Path, now: u64| {
            let mut report = Report::default();
            file(&mut report, path, now);
            report.findings.first().map(|one| one.code)
        };
        // 2030-01-01 is 1,893,456,000.
        let start = 1_893_456_000;
        assert_eq!(code(&path, start - 1), Some("certificate_early"));
        assert_eq!(code(&path, start + DAY_S), None);
        assert_eq!(
            code(&path, start + 360 * DAY_S),
            Some("certificate_ends_soon")
        );
        assert_eq!(
            code(&path, start + 365 * DAY_S),
            Some("certificate_expired")
        );
        std::fs::write(&path, "nothing").unwrap();
        assert_eq!(code(&path, start), Some("certificate_unreadable"));
        assert_eq!(
            code(&folder.path().join("absent"), start),
            Some("certificate_unreadable")
        );
    }
}
