//! Whether what a step did works: connections from another machine, signing in by SSH, units, packages.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::machine::Machine;

/// No time is to be had in a namespace, and no clock is its own: what keeps it does nothing there. Its user stays when Debian's
/// package goes, so it is there before.
pub(super) const CLOCK: &str = "apt-get -qq update && touch -d '5 days ago' /var/lib/apt/lists
useradd --system --home-dir / --shell /usr/sbin/nologin systemd-timesync
mkdir -p /etc/systemd/system/systemd-timesyncd.service.d
printf '[Unit]\nConditionVirtualization=\nConditionCapability=\n[Service]\nType=exec\nUser=root\nStateDirectory=\nWatchdogSec=0\nExecStart=\nExecStart=/bin/sleep infinity\n' \
    > /etc/systemd/system/systemd-timesyncd.service.d/trial.conf
systemctl daemon-reload";

/// A machine with rules of its own that let nothing in, as Debian's example has them.
pub(super) const NFTABLES: &str = r#"set -e
systemctl disable --now firewalld >/dev/null 2>&1
cat > /etc/nftables.conf <<'END'
#!/usr/sbin/nft -f

flush ruleset

table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		iif lo accept
		ct state established,related accept
	}
	chain forward {
		type filter hook forward priority filter;
	}
	chain output {
		type filter hook output priority filter;
	}
}
END
systemctl enable --now nftables >/dev/null 2>&1
"#;

/// On, with nothing open.
pub(super) const UFW: &str = "systemctl disable --now firewalld >/dev/null 2>&1; nft flush ruleset; ufw --force enable && ufw allow 9/tcp && ufw --force delete allow 9/tcp";

/// Like `UFW`, with a rule that was written and taken out once already: the first one makes files and chains that stay.
pub(super) const FIREWALLD: &str = "for i in $(seq 100); do firewall-cmd --state >/dev/null 2>&1 && break; sleep 0.2; done
firewall-cmd --permanent --add-port=9/tcp && firewall-cmd --permanent --remove-port=9/tcp && firewall-cmd --reload";

/// A key of somebody elsewhere, and a user of this machine.
pub(super) const SSH: &str = "mkdir -p /run/trial && ssh-keygen -q -t ed25519 -N '' -C somebody@elsewhere -f /run/trial/other && useradd --create-home --shell /bin/sh somebody";

/// Somebody on another machine reaches the port that was opened, and one that was not is closed.
pub(super) fn reached(machine: &Machine, done: bool) -> Result<(), String> {
    let name = format!("probe{}", machine.first() % 100_000);
    let ip = |arguments: &str| {
        let done = Command::new("ip")
            .args(arguments.split(' '))
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "ip {arguments}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    ip(&format!("netns add {name}"));
    ip(&format!(
        "-n {name} link add out type veth peer name in netns {}",
        machine.first()
    ));
    ip(&format!("-n {name} address add 10.77.0.2/16 dev out"));
    ip(&format!("-n {name} link set out up"));
    machine.shell("ip address add 10.77.0.1/16 dev in && ip link set in up");
    let listen =
        |port: u16| machine.within(move || TcpListener::bind(("10.77.0.1", port)).unwrap());
    let _listening = [listen(7999), listen(7998)];
    let network = std::fs::File::open(format!("/run/netns/{name}")).unwrap();
    let tries = std::thread::spawn(move || {
        use std::os::fd::AsFd as _;
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(network.as_fd(), kind).unwrap();
        [7999, 7998].map(|port| {
            let to = SocketAddr::from(([10, 77, 0, 1], port));
            TcpStream::connect_timeout(&to, Duration::from_millis(1500)).is_ok()
        })
    });
    let through = tries.join().unwrap();
    ip(&format!("netns delete {name}"));
    if through == [done, false] {
        return Ok(());
    }
    Err(format!(
        "from another machine, the ports 7999 and 7998 are open: {through:?}"
    ))
}

/// Whoever has the key that was let in signs in as the user by the real `sshd`, and the key that was made is one for OpenSSH.
pub(super) fn signs_in(machine: &Machine, done: bool) -> Result<(), String> {
    const SIGN_IN: &str = "ssh -i /run/trial/other -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=10 somebody@127.0.0.1 id -un";
    let (signed_in, said) = machine.try_shell(SIGN_IN);
    if signed_in != done {
        return Err(format!("signing in as somebody: {said}"));
    }
    if !done {
        let (there, _) =
            machine.try_shell("test -e /root/.ssh/id_ed25519 || test -e /home/somebody/.ssh");
        return if there {
            Err("there are keys".to_owned())
        } else {
            Ok(())
        };
    }
    let (fine, said) = machine.try_shell(
        "set -e
sshd -t
ssh-keygen -l -f /root/.ssh/id_ed25519
test \"$(ssh-keygen -y -f /root/.ssh/id_ed25519 | cut -d' ' -f2)\" = \"$(cut -d' ' -f2 /root/.ssh/id_ed25519.pub)\"
test \"$(stat -c '%U %a' /home/somebody/.ssh /home/somebody/.ssh/authorized_keys | tr '\\n' ' ')\" = 'somebody 700 somebody 644 '",
    );
    if fine { Ok(()) } else { Err(said) }
}

pub(super) fn firmware(machine: &Machine, done: bool) -> Result<(), String> {
    let (there, said) = machine.try_shell("dpkg --verify firmware-amd-graphics && test -d /lib/firmware/amdgpu && test -z \"$(dpkg --audit)\"");
    if there == done { Ok(()) } else { Err(said) }
}

/// The unit makes sense to systemd, runs, and answers.
pub(super) fn serves(machine: &Machine, done: bool) -> Result<(), String> {
    if !done {
        let (there, said) = machine.try_shell("systemctl cat skep.service || id skep");
        return if there { Err(said) } else { Ok(()) };
    }
    let (fine, said) = machine.try_shell(
        "set -e
systemd-analyze verify --man=no /etc/systemd/system/skep.service
systemctl is-active skep.service
systemctl show -p User --value skep.service | grep -x skep
SKEP_HOME=/tmp/other /trial/skep install --dry-run --json > /tmp/plan.json
if grep -E '.state.: ?.needed.' /tmp/plan.json; then echo 'skep install has another plan than the step'; exit 1; fi
for i in $(seq 50); do ss -ltn | grep -q 127.0.0.1:7420 && exit 0; sleep 0.2; done; journalctl -u skep --no-pager | tail -20; exit 1",
    );
    if fine { Ok(()) } else { Err(said) }
}
