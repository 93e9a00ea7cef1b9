//! Facts of machines that are only folders.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, Instant};

use super::*;
use crate::host::installer::{FirewallKind, LinkKind, Protocol, Vendor};

struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, path: &str, text: &str) -> Self {
        self.put(path, text, 0o644);
        self
    }

    fn put(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn program(self, path: &str) -> Self {
        self.put(path, "#!/bin/sh\nexit 1\n", 0o755);
        self
    }

    fn look(&self, needs: &[Need]) -> Facts {
        let about = About {
            user: "sam".to_owned(),
            uid: 1000,
            home: "/home/sam".to_owned(),
            state_folder: "/var/lib/skep/state".to_owned(),
            ..About::default()
        };
        let until = Instant::now() + Duration::from_secs(60);
        look(&Places::under(self.0.path()), &about, needs, until)
    }
}

fn debian() -> Machine {
    Machine::new()
        .with(
            "/etc/os-release",
            "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\nVERSION_ID=\"13\"\n# x\n",
        )
        .with("/proc/sys/kernel/osrelease", "6.12.48+deb13-amd64\n")
        .with("/proc/sys/kernel/hostname", "hive\n")
        .with("/proc/cpuinfo", "processor\t: 0\n\nprocessor\t: 1\n")
        .with(
            "/proc/meminfo",
            "MemTotal:       16000 kB\nMemFree: 1 kB\nMemAvailable:    8000 kB\nSwapTotal: 0 kB\n",
        )
        .with("/run/systemd/system/x", "")
        .with(
            "/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so",
            "",
        )
        .with("/run/systemd/timesync/synchronized", "")
        .with(
            "/etc/resolv.conf",
            "# x\nsearch home\nnameserver 192.168.1.1\n",
        )
        .with(
            "/etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nsam:x:1000:1000:Sam,,,:/home/sam:/bin/sh\n",
        )
        .with(
            "/etc/group",
            "root:x:0:\nsam:x:1000:\nvideo:x:44:sam,eve\nrender:x:105:\n",
        )
        .program("/usr/bin/apt-get")
}

#[test]
fn a_machine_of_which_nothing_can_be_read_is_told_as_that() {
    let machine = Machine::new();
    let facts = machine.look(&[
        Need::File("/etc/os-release".into()),
        Need::Package("ufw".into()),
        Need::Unit("ssh.service".into()),
        Need::Account("eve".into()),
        Need::Group("video".into()),
        Need::Program("nft".into()),
    ]);
    assert_eq!(facts.system.os, "");
    assert_eq!(facts.system.systemd, None);
    assert_eq!(facts.system.clock_kept, None);
    assert_eq!(facts.system.memory_bytes, 0);
    let lists = [
        facts.disks.len(),
        facts.interfaces.len(),
        facts.routes.len(),
        facts.gpus.len(),
        facts.listeners.len(),
        facts.firewalls.len(),
        facts.files.len(),
        facts.packages.len(),
        facts.units.len(),
        facts.accounts.len(),
        facts.groups.len(),
        facts.programs.len(),
    ];
    assert_eq!(lists, [0; 12]);
}

#[test]
fn the_system_is_read_from_its_files() {
    let system = debian().look(&[]).system;
    assert_eq!(
        (system.os.as_str(), system.os_version.as_str()),
        ("debian", "13")
    );
    assert_eq!(system.os_name, "Debian GNU/Linux 13 (trixie)");
    assert_eq!(system.kernel, "6.12.48+deb13-amd64");
    assert_eq!(system.host_name, "hive");
    assert_eq!(system.package_manager, "apt");
    assert_eq!(system.systemd, Some(257));
    assert_eq!(system.container, None);
    assert_eq!(system.cores, 2);
    assert_eq!(system.memory_bytes, 16_000 << 10);
    assert_eq!(system.memory_free_bytes, 8_000 << 10);
    assert_eq!(system.clock_kept, Some(true));
    let marks = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
    for (mark, kind) in marks {
        let system = debian().with(mark, "").look(&[]).system;
        assert_eq!(system.container.as_deref(), Some(kind));
    }
    let lxc = debian().with("/run/systemd/container", "lxc\n").look(&[]);
    assert_eq!(lxc.system.container.as_deref(), Some("lxc"));
}

#[test]
fn disks_are_those_that_something_can_be_kept_on() {
    let facts = Machine::new()
        .with(
            "/proc/mounts",
            "proc /proc proc rw 0 0\n/dev/sda2 / ext4 rw,relatime 0 0\ntmpfs /run tmpfs rw 0 0\n\
             /dev/sdb1 /mnt/my\\040disk xfs ro 0 0\nnas:/x /mnt/nas nfs4 rw 0 0\nbroken\n\
             /dev/loop0 /snap/x/1 squashfs ro 0 0\n",
        )
        .with("/sys/class/block/sdb1/removable", "1\n")
        .look(&[]);
    let mounts: Vec<_> = facts.disks.iter().map(|disk| disk.mount.as_str()).collect();
    assert_eq!(mounts, ["/", "/mnt/my disk", "/mnt/nas"]);
    let stick = &facts.disks[1];
    assert!(stick.read_only && stick.removable);
    assert!(!facts.disks[0].read_only && !facts.disks[0].removable);
}

#[test]
fn interfaces_and_routes_are_told() {
    let facts = Machine::new()
        .with("/sys/class/net/lo/type", "772\n")
        .with("/sys/class/net/lo/operstate", "unknown\n")
        .with("/sys/class/net/lo/flags", "0x9\n")
        .with("/sys/class/net/eth0/type", "1\n")
        .with("/sys/class/net/eth0/operstate", "up\n")
        .with("/sys/class/net/eth0/speed", "2500\n")
        .with("/sys/class/net/eth0/device/x", "")
        .with("/sys/class/net/wlan0/type", "1\n")
        .with("/sys/class/net/wlan0/operstate", "down\n")
        .with("/sys/class/net/wlan0/speed", "-1\n")
        .with("/sys/class/net/wlan0/wireless/x", "")
        .with("/sys/class/net/br0/bridge/x", "")
        .with("/sys/class/net/wg0/type", "65534\n")
        .with(
            "/proc/net/if_inet6",
            "00000000000000000000000000000001 01 80 10 80       lo\n\
             fe800000000000000000000000000001 02 40 20 80     eth0\nbroken\n",
        )
        .with(
            "/proc/net/route",
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
             eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n\
             eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\nbroken\n",
        )
        .with(
            "/proc/net/ipv6_route",
            "fd000000000000000000000000000000 08 00000000000000000000000000000000 00 \
             00000000000000000000000000000000 00000400 00000001 00000000 00000001     eth0\n",
        )
        .look(&[]);
    let kinds: Vec<_> = facts
        .interfaces
        .iter()
        .map(|one| (one.name.as_str(), one.kind, one.up, one.speed_mbit))
        .collect();
    assert_eq!(
        kinds,
        [
            ("br0", LinkKind::Bridge, false, 0),
            ("eth0", LinkKind::Ethernet, true, 2500),
            ("lo", LinkKind::Loopback, true, 0),
            ("wg0", LinkKind::Tunnel, false, 0),
            ("wlan0", LinkKind::Wireless, false, 0),
        ]
    );
    assert!(facts.interfaces[1].default_route && !facts.interfaces[2].default_route);
    assert_eq!(facts.interfaces[1].addresses, ["fe80::1/64"]);
    // Words are as they lie in the memory of this machine.
    if cfg!(target_endian = "little") {
        let routes: Vec<_> = facts
            .routes
            .iter()
            .map(|route| (route.destination.as_str(), route.gateway.as_deref()))
            .collect();
        assert_eq!(
            routes,
            [
                ("0.0.0.0/0", Some("192.168.1.1")),
                ("192.168.1.0/24", None),
                ("fd00::/8", None),
            ]
        );
    }
}

#[test]
fn listeners_are_told_with_their_programs() {
    let machine = Machine::new()
        .with(
            "/proc/net/tcp",
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             \x20  0: 0100007F:1CFC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
             \x20  1: 0100007F:1CFC 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n",
        )
        .with(
            "/proc/net/udp6",
            "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             \x20  0: 00000000000000000000000000000000:14E9 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4713 2\n",
        )
        .with("/proc/77/comm", "skep\n");
    let files = machine.0.path().join("proc/77/fd");
    fs::create_dir_all(&files).unwrap();
    symlink("socket:[4711]", files.join("3")).unwrap();
    let listeners = machine.look(&[]).listeners;
    assert_eq!(listeners.len(), 2, "{listeners:?}");
    assert_eq!(
        (listeners[0].port, listeners[0].protocol),
        (5353, Protocol::Udp)
    );
    assert_eq!(listeners[0].program, None);
    assert_eq!(
        (listeners[1].port, listeners[1].protocol),
        (7420, Protocol::Tcp)
    );
    assert_eq!(listeners[1].program.as_deref(), Some("skep"));
    if cfg!(target_endian = "little") {
        assert_eq!(listeners[1].address, "127.0.0.1");
    }
}

#[test]
fn cards_without_a_driver_are_told_by_the_bus() {
    let bus = "/sys/bus/pci/devices/0000:01:00.0";
    let machine = Machine::new()
        .with(&format!("{bus}/class"), "0x030000\n")
        .with(&format!("{bus}/vendor"), "0x10de\n")
        .with(&format!("{bus}/device"), "0x2684\n")
        .with("/sys/bus/pci/devices/0000:00:1f.3/class", "0x040300\n")
        .with(
            "/usr/share/misc/pci.ids",
            "1002  AMD\n\t2684  Wrong\n10de  NVIDIA\n\t2684  AD102 [GeForce RTX 4090]\n",
        );
    let gpus = machine.look(&[]).gpus;
    assert_eq!(gpus.len(), 1, "{gpus:?}");
    assert_eq!(gpus[0].vendor, Vendor::Nvidia);
    assert_eq!(gpus[0].name, "AD102 [GeForce RTX 4090]");
    assert_eq!(
        (gpus[0].module.as_deref(), gpus[0].driver.as_deref()),
        (None, None)
    );
    symlink(
        "../nouveau",
        machine.0.path().join(format!("{}/driver", &bus[1..])),
    )
    .unwrap();
    let gpus = machine.look(&[]).gpus;
    assert_eq!(gpus[0].module.as_deref(), Some("nouveau"));
}

#[test]
fn packages_are_those_that_are_installed() {
    let wanted = [
        Need::Package("ufw".into()),
        Need::Package("nftables".into()),
    ];
    let debian = debian().with(
        "/var/lib/dpkg/status",
        "Package: ufw\nStatus: install ok installed\nVersion: 0.36.2-9\n\n\
         Package: nftables\nStatus: deinstall ok config-files\nVersion: 1.1.1-1\n",
    );
    let packages = debian.look(&wanted).packages;
    assert_eq!(packages.len(), 1, "{packages:?}");
    assert_eq!(packages[0].installed.as_deref(), Some("0.36.2-9"));
    let arch = Machine::new()
        .program("/usr/bin/pacman")
        .with("/var/lib/pacman/local/ufw-0.36.2-6/desc", "")
        .with("/var/lib/pacman/local/ufw-extras-1-1/desc", "");
    let packages = arch.look(&wanted).packages;
    assert_eq!(packages.len(), 1, "{packages:?}");
    assert_eq!(packages[0].installed.as_deref(), Some("0.36.2-6"));
    let alpine = Machine::new().program("/sbin/apk").with(
        "/lib/apk/db/installed",
        "P:nftables\nV:1.1.1-r0\n\nP:musl\nV:1\n",
    );
    let packages = alpine.look(&wanted).packages;
    assert_eq!(packages[0].name, "nftables");
}

#[test]
fn units_accounts_groups_and_programs_are_those_that_exist() {
    let machine = debian()
        .with("/usr/lib/systemd/system/ssh.service", "")
        .with("/usr/lib/systemd/system/cron.service", "")
        .program("/usr/sbin/nft")
        .program("/usr/sbin/ufw")
        .with("/etc/ufw/ufw.conf", "# x\nENABLED=yes\n");
    let wants = machine
        .0
        .path()
        .join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).unwrap();
    symlink(
        "/usr/lib/systemd/system/ssh.service",
        wants.join("ssh.service"),
    )
    .unwrap();
    let facts = machine.look(&[
        Need::Unit("ssh.service".into()),
        Need::Unit("cron.service".into()),
        Need::Unit("--help".into()),
        Need::Account("root".into()),
        Need::Group("video".into()),
        Need::Group("wheel".into()),
        Need::Program("nft".into()),
        Need::Program("../../bin/sh".into()),
        Need::Program("podman".into()),
    ]);
    let units: Vec<_> = facts
        .units
        .iter()
        .map(|unit| (unit.name.as_str(), unit.enabled))
        .collect();
    assert_eq!(units, [("cron.service", false), ("ssh.service", true)]);
    let names: Vec<_> = facts
        .accounts
        .iter()
        .map(|account| account.name.as_str())
        .collect();
    assert_eq!(names, ["root", "sam"]);
    assert_eq!(facts.accounts[1].groups, ["sam", "video"]);
    assert_eq!(facts.groups, ["video"]);
    assert_eq!(facts.programs.len(), 1);
    assert_eq!(facts.programs[0].path, "/usr/sbin/nft");
    let firewalls: Vec<_> = facts
        .firewalls
        .iter()
        .map(|one| (one.kind, one.active))
        .collect();
    assert_eq!(
        firewalls,
        [
            (FirewallKind::Ufw, Some(true)),
            (FirewallKind::Nftables, None)
        ]
    );
}

/// What is known to be secret by its place or its text, or kept from others by its owner, is never told.
#[test]
fn no_secret_is_told() {
    let machine = debian();
    let secrets = [
        ("/etc/shadow", "root:$y$x\n", 0o644),
        ("/etc/ssh/ssh_host_ed25519_key", "key", 0o644),
        ("/home/sam/.ssh/id_ed25519", "key", 0o644),
        ("/home/sam/.netrc", "machine x", 0o644),
        ("/home/sam/.aws/config", "x", 0o644),
        ("/home/sam/.bash_history", "x", 0o644),
        ("/etc/ssl/private/x", "x", 0o644),
        ("/etc/skep/tls.key", "x", 0o644),
        ("/var/lib/skep/state/keys.json", "{}", 0o644),
        ("/etc/mine.conf", "-----BEGIN PRIVATE KEY-----\n", 0o644),
        ("/etc/app.conf", "[db]\n  db_password = hunter2\n", 0o644),
        ("/etc/app.json", "{\n  \"api-key\": \"sk-1\",\n}\n", 0o644),
        ("/etc/app.env", "API_TOKEN=abc\n", 0o644),
        ("/etc/closed.conf", "plain", 0o600),
        ("/etc/binary", "a\0b", 0o644),
    ];
    for (path, text, mode) in secrets {
        machine.put(path, text, mode);
    }
    machine.put("/etc/large.conf", "x".repeat((64 << 10) + 1), 0o644);
    machine.put("/etc/latin", [b'a', 0xe9], 0o644);
    symlink("shadow", machine.0.path().join("etc/innocent.conf")).unwrap();
    symlink("/etc/passwd", machine.0.path().join("etc/outside.conf")).unwrap();
    let others = ["/etc/large.conf", "/etc/latin", "/etc/innocent.conf"];
    let paths = secrets.iter().map(|(path, ..)| *path).chain(others);
    let needs: Vec<Need> = paths.map(|path| Need::File(path.to_owned())).collect();
    let facts = machine.look(&needs);
    assert_eq!(
        facts.files.len(),
        needs.len(),
        "that there is a file may be told"
    );
    for file in &facts.files {
        assert_eq!(file.content, None, "{}", file.path);
    }
    // What lies beyond the machine is not there at all.
    let outside = [
        "/etc/outside.conf",
        "/etc/../etc/passwd",
        "etc/passwd",
        "/etc",
    ];
    let needs = outside.map(|path| Need::File(path.to_owned()));
    assert_eq!(machine.look(&needs).files, []);
}

#[test]
fn what_is_no_secret_is_told() {
    let machine = debian().with("/etc/motd", "Welcome\n").with(
        "/etc/ssh/sshd_config",
        "# password: see below\nPasswordAuthentication no\n",
    );
    machine.put(
        "/home/sam/.ssh/authorized_keys",
        "ssh-ed25519 AAAA sam\n",
        0o600,
    );
    machine.put(
        "/home/sam/.ssh/id_ed25519.pub",
        "ssh-ed25519 AAAA sam\n",
        0o600,
    );
    let facts = machine.look(&[
        Need::File("/etc/motd".into()),
        Need::File("/etc/ssh/sshd_config".into()),
        Need::File("~/.ssh/authorized_keys".into()),
        Need::File("~/.ssh/id_ed25519.pub".into()),
    ]);
    assert_eq!(facts.files.len(), 4, "{:?}", facts.files);
    assert!(facts.files.iter().all(|file| file.content.is_some()));
    assert_eq!(facts.files[3].path, "/home/sam/.ssh/id_ed25519.pub");
}

/// A pipe that nobody writes to, folders without end of names: none of it holds anybody up.
#[test]
fn what_never_ends_holds_nobody_up() {
    let machine = debian();
    let pipe = machine.0.path().join("etc/pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::ROTH;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for number in 0..300 {
        machine.put(&format!("/sys/class/net/eth{number}/type"), "1\n", 0o644);
    }
    let facts = machine.look(&[Need::File("/etc/pipe".into())]);
    assert_eq!(facts.files, []);
    assert_eq!(facts.interfaces.len(), FACTS_ITEMS_MAX);
}

/// This machine, whatever it is: nothing fails, and some things are known anywhere.
#[test]
fn this_machine_can_be_looked_at() {
    let until = Instant::now() + Duration::from_secs(60);
    let facts = look(&Places::default(), &About::default(), &[], until);
    assert!(facts.system.cores > 0 && facts.system.memory_bytes > 0);
    assert!(!facts.system.kernel.is_empty());
    assert!(
        facts
            .interfaces
            .iter()
            .any(|one| one.kind == LinkKind::Loopback)
    );
}
