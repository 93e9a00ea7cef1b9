//! A real directory: `slapd` on loopback, with a folder of its own.
#![allow(
    clippy::disallowed_methods,
    reason = "that another process answers has to be looked at again and again"
)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

/// A directory with three people and two groups. Dropping it ends it.
struct Directory {
    slapd: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

const LOOKER: &str = "looker-password";

impl Directory {
    /// None where there is no `slapd`; says what to install.
    fn start() -> Option<Self> {
        let slapd = Path::new("/usr/sbin/slapd");
        if !slapd.exists() {
            eprintln!("not tried: there is no `slapd`; `apt-get install slapd` brings it");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let at = folder.path();
        std::fs::create_dir(at.join("db")).unwrap();
        let settings = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             database mdb\nmaxsize 10485760\nsuffix \"dc=example,dc=org\"\n\
             rootdn \"cn=skep,dc=example,dc=org\"\nrootpw {LOOKER}\ndirectory {}/db\n",
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
            .args(["-h", &format!("ldap://127.0.0.1:{port}"), "-d", "0"])
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
            _folder: folder,
        })
    }

    /// Settings for it, in a file of the agent's folder.
    fn settings(&self, agent: &Agent, more: &str) -> String {
        let path = agent.home().join("directory.toml");
        let text = format!(
            "[ldap]\nurl = \"ldap://127.0.0.1:{}\"\nbind_dn = \"cn=skep,dc=example,dc=org\"\n\
             base = \"ou=people,dc=example,dc=org\"\nadmins = \"cn=ops,ou=groups,dc=example,dc=org\"\n\
             members = \"cn=users,ou=groups,dc=example,dc=org\"\n{more}",
            self.port
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
