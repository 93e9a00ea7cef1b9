//! What an authority signs, and whom it refuses.

use rustls::pki_types::UnixTime;

use super::super::certificate::{Purpose, Refused, check, validity};
use super::*;

const NOW: u64 = 1_800_000_000;
const WEEK: Duration = Duration::from_secs(7 * 86_400);
const CLUSTER: ClusterId = ClusterId([3; 16]);

fn request(key: &KeyPair) -> Vec<u8> {
    let params = CertificateParams::default();
    params.serialize_request(key).unwrap().der().to_vec()
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).unwrap()
}

fn at(unix_s: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(unix_s))
}

#[test]
fn a_node_is_who_its_certificate_says_for_a_week() {
    let authority = Authority::create(CLUSTER, NOW).unwrap();
    let key = key();
    let request = request(&key);
    let (node, spki) = Authority::requester(&request).unwrap();
    assert_eq!(spki, key.subject_public_key_info());
    let certificate = authority.issue(&request, CLUSTER, NOW, WEEK).unwrap();
    let trusted = [authority.certificate().clone()];
    let ask = |now, purpose| check(&certificate, &trusted, CLUSTER, at(now), purpose);
    for purpose in [Purpose::Server, Purpose::Client] {
        assert_eq!(ask(NOW, purpose).unwrap().node, node);
        assert_eq!(
            ask(NOW + WEEK.as_secs() + 1, purpose),
            Err(Refused::Expired)
        );
        assert_eq!(ask(NOW - 3_600, purpose), Err(Refused::NotYetValid));
    }
    let validity = validity(&certificate).unwrap();
    assert_eq!(validity.until_unix_s, NOW + WEEK.as_secs());
    assert_eq!(validity.left(NOW), WEEK);
    assert!(validity.half_unix_s() < NOW + WEEK.as_secs() / 2);
}

#[test]
fn what_is_not_ours_is_refused() {
    let authority = Authority::create(CLUSTER, NOW).unwrap();
    let trusted = [authority.certificate().clone()];
    let request = request(&key());
    let ask = |certificate: &CertificateDer<'_>, purpose| {
        check(certificate, &trusted, CLUSTER, at(NOW), purpose)
    };
    // Another cluster's authority, even one that claims our name.
    let other = Authority::create(CLUSTER, NOW).unwrap();
    let foreign = other.issue(&request, CLUSTER, NOW, WEEK).unwrap();
    let refused = ask(&foreign, Purpose::Client).unwrap_err();
    assert!(
        matches!(refused, Refused::Untrusted | Refused::Malformed),
        "{refused}"
    );
    // Our authority, for another cluster.
    let elsewhere = authority
        .issue(&request, ClusterId([4; 16]), NOW, WEEK)
        .unwrap();
    assert_eq!(ask(&elsewhere, Purpose::Client), Err(Refused::OtherCluster));
    // A client's certificate is no server's.
    let usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = authority
        .issue_for(&request, CLUSTER, NOW, WEEK, usages)
        .unwrap();
    assert!(ask(&client, Purpose::Client).is_ok());
    assert_eq!(ask(&client, Purpose::Server), Err(Refused::Purpose));
    // The authority itself is no node.
    assert!(ask(authority.certificate(), Purpose::Server).is_err());
    for damaged in [vec![], vec![0x30; 400], vec![0; 5_000]] {
        assert_eq!(
            ask(&damaged.into(), Purpose::Server),
            Err(Refused::Malformed)
        );
    }
}

#[test]
fn only_whole_requests_with_our_kind_of_key_are_signed() {
    let authority = Authority::create(CLUSTER, NOW).unwrap();
    let good = request(&key());
    let mut forged = good.clone();
    // In the signature.
    *forged.last_mut().unwrap() ^= 1;
    let ecdsa = request(&KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap());
    for bad in [&forged, &ecdsa, &good[..50].to_vec(), &vec![0; 10_000]] {
        let error = authority.issue(bad, CLUSTER, NOW, WEEK).unwrap_err();
        assert!(matches!(error, AuthorityError::Request(_)), "{error}");
    }
}

#[test]
fn an_authority_comes_back_from_its_file_and_no_other_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authority.pem");
    let authority = Authority::create(CLUSTER, NOW).unwrap();
    authority.save(&path).unwrap();
    let again = Authority::load(authority.certificate().clone(), &path).unwrap();
    let request = request(&key());
    let certificate = again.issue(&request, CLUSTER, NOW, WEEK).unwrap();
    let trusted = [authority.certificate().clone()];
    check(&certificate, &trusted, CLUSTER, at(NOW), Purpose::Server).unwrap();
    let other = Authority::create(CLUSTER, NOW).unwrap();
    let error = Authority::load(other.certificate().clone(), &path).unwrap_err();
    assert!(matches!(error, AuthorityError::Damaged { .. }), "{error}");
}
