//! A real directory: `slapd` on loopback, with a folder of its own.
#![allow(
    clippy::disallowed_methods,
    reason = "that another process answers has to be looked at again and again"
)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

/// A directory with three people and two groups, on a port without TLS (but StartTLS) and one with. Dropping it ends it.
pub(super) struct Directory {
    slapd: Child,
    port: u16,
    tls_port: u16,
    /// Its certificate, signed by itself.
    certificate: String,
    _folder: tempfile::TempDir,
}

pub(super) const LOOKER: &str = "looker-password";

impl Directory {
    /// None where there is no `slapd`; says what to install.
    pub(super) fn start() -> Option<Self> {
        let slapd = Path::new("/usr/sbin/slapd");
        if !slapd.exists() {
            eprintln!("not tried: there is no `slapd`; `apt-get install slapd` brings it");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let [port, tls_port] = [(); 2].map(|()| {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        });
        let at = folder.path();
        std::fs::create_dir(at.join("db")).unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let certificate = made.cert.pem();
        std::fs::write(at.join("slapd.pem"), &certificate).unwrap();
        std::fs::write(at.join("slapd.key"), made.signing_key.serialize_pem()).unwrap();
        let settings = format!(
            "TLSCertificateFile {0}/slapd.pem\nTLSCertificateKeyFile {0}/slapd.key\n\
             include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             database mdb\nmaxsize 10485760\nsuffix \"dc=example,dc=org\"\n\
             rootdn \"cn=skep,dc=example,dc=org\"\nrootpw {LOOKER}\ndirectory {0}/db\n",
            at.display()
        );
        let file = at.join("slapd.conf");
        std::fs::write(&file, settings).unwrap();
        let people = at.join("people.ldif");
        std::fs::write(&people, ldif()).unwrap();
        let added = Command::new("/usr/sbin/slapadd")
            .arg("-f")
            .arg(&file)
            .arg("-l")
            .arg(&people)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(added.unwrap().success());
        let slapd = Command::new(slapd)
            .arg("-f")
            .arg(&file)
            .args([
                "-h",
                &format!("ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}"),
                "-d",
                "0",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self {
            slapd,
            port,
            tls_port,
            certificate,
            _folder: folder,
        })
    }

    /// Settings for it, in a file of the agent's folder.
    pub(super) fn settings(&self, agent: &Agent, more: &str) -> String {
        self.settings_at(agent, &format!("ldap://127.0.0.1:{}", self.port), more)
    }

    fn settings_at(&self, agent: &Agent, url: &str, more: &str) -> String {
        let path = agent.home().join("directory.toml");
        std::fs::write(agent.home().join("slapd.pem"), &self.certificate).unwrap();
        let text = format!(
            "[ldap]\nurl = \"{url}\"\nbind_dn = \"cn=skep,dc=example,dc=org\"\n\
             base = \"ou=people,dc=example,dc=org\"\nadmins = \"cn=ops,ou=groups,dc=example,dc=org\"\n\
             members = \"cn=users,ou=groups,dc=example,dc=org\"\n{more}"
        );
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = self.slapd.kill();
        let _ = self.slapd.wait();
    }
}

fn ldif() -> String {
    let mut text = "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example\n\n".to_owned();
    for unit in ["people", "groups"] {
        text += &format!(
            "dn: ou={unit},dc=example,dc=org\nobjectClass: organizationalUnit\nou: {unit}\n\n"
        );
    }
    for (name, password) in PEOPLE {
        text += &format!(
            "dn: uid={name},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name} full\nsn: x\nuserPassword: {password}\n\n"
        );
    }
    for (group, member) in [("ops", "ada"), ("users", "bob")] {
        text += &format!(
            "dn: cn={group},ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: {group}\nmember: uid={member},ou=people,dc=example,dc=org\n\n"
        );
    }
    text
}

const PEOPLE: [(&str, &str); 3] = [
    ("ada", "correct horse"),
    ("bob", "battery staple"),
    ("eve", "paperclip wire"),
];

#[test]
fn a_directory_is_tried_kept_and_let_people_in() {
    let Some(directory) = Directory::start() else {
        return;
    };
    let agent = Agent::start(&[NO_MODEL]).unwrap();
    let try_out = |verb: &str, more: &str, user: &str, secret: &str| {
        let file = directory.settings(&agent, more);
        let arguments = [
            "sign-in",
            verb,
            "--from",
            &file,
            "--secret-stdin",
            "--user",
            user,
        ];
        let (done, told, said) = agent.skep(&arguments, secret).unwrap();
        (done, told + &said)
    };
    let (done, told) = try_out("test", "", "ada", LOOKER);
    assert!(
        done && told.contains("`ada` would be `ada` here, admin"),
        "{told}"
    );
    for (more, user, secret, part) in [
        ("", "ada", "wrong", "check `bind_dn` and its password"),
        ("", "ada", "", "there is no password for"),
        ("", "nobody", LOOKER, "is not found below"),
        ("", "*)(uid=*", LOOKER, "is not found below"),
        ("", "eve", LOOKER, "in neither group"),
        ("filter = \"(uid=ada)\"", "ada", LOOKER, "has no `{name}`"),
        ("starttls = true", "ada", LOOKER, "fail"),
    ] {
        let (done, told) = try_out("set", more, user, secret);
        assert!(!done && told.contains(part), "{user}: {told}");
        assert!(told.contains("nothing was kept"), "{told}");
    }
    let mut ada = Browser::new(&agent);
    assert_eq!(ada.sign_in("ada", "correct horse").0, 401);
    assert!(try_out("set", "", "ada", LOOKER).0);
    let (_, shown, _) = agent.skep(&["sign-in", "show", "--json"], "").unwrap();
    assert!(
        shown.contains("ou=people") && !shown.contains(LOOKER),
        "{shown}"
    );

    assert_eq!(ada.sign_in("ada", "correct horse").0, 204);
    assert_eq!(ada.get("/api/v1/session").1["user"]["role"], "admin");
    let mut bob = Browser::new(&agent);
    assert_eq!(bob.sign_in("BOB", "battery staple").0, 204);
    assert_eq!(bob.get("/api/v1/session").1["user"]["role"], "member");
    for (name, password, status) in [
        ("eve", "paperclip wire", 403),
        ("ada", "wrong", 401),
        ("ada", "", 401),
        ("nobody", "correct horse", 401),
        ("*)(uid=*", "correct horse", 401),
        ("a*", "correct horse", 401),
    ] {
        let found = Browser::new(&agent).sign_in(name, password);
        assert_eq!(found.0, status, "{name}: {}", found.1);
    }
    // What they may is what their groups say, and they are out when they are disabled, or the directory is no more asked.
    assert!(!agent.skep(&["user", "role", "bob", "admin"], "").unwrap().0);
    assert!(agent.skep(&["user", "disable", "bob"], "").unwrap().0);
    assert_eq!(bob.user(), Value::Null);
    assert!(agent.skep(&["sign-in", "remove", "ldap"], "").unwrap().0);
    assert_eq!(ada.user(), Value::Null);
}

#[test]
fn a_directory_is_asked_over_tls() {
    let Some(directory) = Directory::start() else {
        return;
    };
    let agent = Agent::start(&[NO_MODEL]).unwrap();
    let (plain, tls) = (directory.port, directory.tls_port);
    let known = "certificates_file = \"slapd.pem\"";
    for (url, more, works, part) in [
        // A certificate that nobody vouches for; another name than is in it; no TLS where it is spoken; TLS where it is not.
        (
            format!("ldaps://127.0.0.1:{tls}"),
            String::new(),
            false,
            "certificates_file",
        ),
        (
            format!("ldap://127.0.0.1:{plain}"),
            "starttls = true".to_owned(),
            false,
            "certificates_file",
        ),
        (
            format!("ldaps://localhost:{tls}"),
            known.to_owned(),
            false,
            "by a name that its certificate has",
        ),
        (
            format!("ldap://127.0.0.1:{tls}"),
            known.to_owned(),
            false,
            "says `ldaps`",
        ),
        (
            format!("ldaps://127.0.0.1:{plain}"),
            known.to_owned(),
            false,
            "fail  connection",
        ),
        (
            format!("ldaps://127.0.0.1:{tls}"),
            known.to_owned(),
            true,
            "answers, over TLS",
        ),
        (
            format!("ldap://127.0.0.1:{plain}"),
            format!("starttls = true\n{known}"),
            true,
            "over TLS, by StartTLS",
        ),
    ] {
        let file = directory.settings_at(&agent, &url, &more);
        let arguments = [
            "sign-in",
            "set",
            "--from",
            &file,
            "--secret-stdin",
            "--user",
            "ada",
        ];
        let (done, told, said) = agent.skep(&arguments, LOOKER).unwrap();
        assert!(
            done == works && told.contains(part),
            "{url} {more}: {told}{said}"
        );
        if works {
            assert_eq!(Browser::new(&agent).sign_in("ada", "correct horse").0, 204);
            assert_eq!(Browser::new(&agent).sign_in("ada", "wrong").0, 401);
            assert!(agent.skep(&["sign-in", "remove", "ldap"], "").unwrap().0);
        }
    }
}

#[test]
fn a_setup_from_a_file_lets_people_in() {
    let agent = Agent::start(&[NO_MODEL]).unwrap();
    let file = agent.home().join("answers.toml");
    std::fs::write(agent.home().join("ada.password"), "correct horse\n").unwrap();
    let set_up = |text: &str, how: &str| {
        let password = agent.home().join("ada.password");
        let text = text.replace("ADA", password.to_str().unwrap());
        std::fs::write(&file, format!("tests = false\nfinish = false\n{text}")).unwrap();
        let arguments = ["setup", "--from", file.to_str().unwrap(), how, "--json"];
        let (done, told, said) = agent.skep(&arguments, "").unwrap();
        (
            done,
            serde_json::from_str(&told).unwrap_or(Value::Null),
            said,
        )
    };
    let users = || {
        let (_, told, _) = agent.skep(&["user", "ls", "--json"], "").unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        told["users"].as_array().unwrap().len()
    };
    let ada = "[administrator]\nname = \"Ada\"\npassword = { file = \"ADA\" }\n";
    for (more, line, part) in [
        (
            "[administrator]\nname = \"ada\"\npassword = \"short\"\n",
            5,
            "at least",
        ),
        (
            "[administrator]\nname = \"a/b\"\npassword = \"correct horse\"\n",
            4,
            "a/b",
        ),
        (
            "[cluster]\ntoken = \"skep-join-x\"\n[administrator]\nname = \"ada\"\npassword = { file = \"ADA\" }\n",
            5,
            "people already",
        ),
        (
            "[ldap]\nurl = \"ldap://127.0.0.1:1\"\nbase = \"dc=a\"\n[administrator]\nname = \"ada\"\npassword = { file = \"ADA\" }\n",
            3,
            "`ldap` does not work",
        ),
        ("[oidc]\nissuer = 3\n", 3, "issuer"),
    ] {
        let (done, _, said) = set_up(more, "--yes");
        assert!(
            !done && said.contains(&format!("line {line}: ")) && said.contains(part),
            "{more}: {said}"
        );
        assert_eq!(users(), 0);
    }
    let (done, told, said) = set_up(ada, "--dry-run");
    assert!(
        done && told["people"][0]["outcome"] == "planned",
        "{told} {said}"
    );
    assert_eq!(users(), 0);
    for outcome in ["applied", "unchanged"] {
        let (done, told, said) = set_up(ada, "--yes");
        assert!(
            done && told["people"][0]["outcome"] == outcome,
            "{told} {said}"
        );
        assert_eq!(Browser::new(&agent).sign_in("ada", "correct horse").0, 204);
        std::fs::write(agent.home().join("ada.password"), "battery staple\n").unwrap();
    }
    assert!(
        agent
            .skep(
                &["user", "add", "bob", "--password-stdin"],
                "battery staple"
            )
            .unwrap()
            .0
    );
    let (done, _, said) = set_up(&ada.replace("Ada", "bob"), "--yes");
    assert!(
        !done && said.contains("is there already, and a member"),
        "{said}"
    );

    let Some(directory) = Directory::start() else {
        return;
    };
    let door = std::fs::read_to_string(directory.settings(&agent, "")).unwrap();
    std::fs::write(agent.home().join("looker"), format!("{LOOKER}\n")).unwrap();
    let secret = agent.home().join("looker");
    let door = format!(
        "{door}secret = {{ file = {:?} }}\n",
        secret.to_str().unwrap()
    );
    for outcome in ["applied", "unchanged"] {
        let (done, told, said) = set_up(&door, "--yes");
        assert!(
            done && told["people"][0]["outcome"] == outcome,
            "{told} {said}"
        );
        assert!(!said.contains(LOOKER) && !told.to_string().contains(LOOKER));
    }
    let mut eve = Browser::new(&agent);
    assert_eq!(eve.sign_in("eve", "paperclip wire").0, 403);
    assert_eq!(eve.sign_in("bob", "battery staple").0, 204);
}
