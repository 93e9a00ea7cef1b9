//! Made-up machines to try steps on, and answers that nobody should give.

use crate::host::installer::{
    Account, Disk, Facts, Firewall, FirewallKind, Gpu, LinkKind, Listener, Neighbour,
    NetworkInterface, PackageFacts, Program, Protocol, Route, Service, UnitFacts, Value, Vendor,
};
use crate::limits::{FACTS_ITEMS_MAX, STEP_VALUE_BYTES};

/// Machines as people have them.
pub(super) fn usual() -> [(&'static str, Facts); 4] {
    let mut server = machine("debian", "13", "apt");
    server.firewalls = vec![firewall(FirewallKind::Nftables, Some(true))];

    let mut desktop = owned(machine("fedora", "43", "dnf"));
    desktop.firewalls = vec![firewall(FirewallKind::Firewalld, None)];
    desktop.services = vec![Service {
        url: "http://127.0.0.1:11434".to_owned(),
        plugin: "ollama".to_owned(),
        models: vec!["llama3.2:1b".to_owned()],
    }];

    let mut workstation = owned(machine("arch", "", "pacman"));
    workstation.gpus = vec![card("GPU-1", Vendor::Nvidia), card("GPU-2", Vendor::Nvidia)];
    workstation.firewalls = vec![firewall(FirewallKind::Ufw, None)];

    let mut container = machine("debian", "12", "apt");
    container.system.systemd = None;
    container.system.container = Some("docker".to_owned());
    container.system.clock_kept = None;
    container.gpus = vec![Gpu {
        driver: None,
        module: None,
        ..card("0000:03:00.0", Vendor::Amd)
    }];
    [
        ("a server with Debian", server),
        ("a desktop with Fedora", desktop),
        ("a workstation with Arch Linux", workstation),
        ("a container", container),
    ]
}

/// A machine with as much of everything as is ever told, and names that mean harm.
pub(super) fn strange() -> Facts {
    let mut facts = machine("os \"$(id)\"\n\u{202e}", "🐝", "");
    let names = [
        "",
        "模型 🐝",
        "a'b\"c\\",
        "$(reboot)",
        "../../etc",
        "-rf",
        "x\ny",
    ];
    let long = "x".repeat(4 << 10);
    let mut names = names.into_iter().chain([long.as_str()]).cycle();
    let mut name = || names.next().unwrap_or_default().to_owned();
    facts.agent.node = name();
    facts.agent.home = name();
    facts.agent.user = name();
    facts.agent.listen = name();
    facts.agent.data_folder = name();
    facts.agent.config_folder = name();
    facts.agent.settings = (0..FACTS_ITEMS_MAX).map(|_| (name(), name())).collect();
    facts.system.memory_bytes = u64::MAX;
    facts.system.memory_free_bytes = u64::MAX;
    facts.system.cores = u32::MAX;
    facts.system.now_unix_s = u64::MAX;
    for _ in 0..FACTS_ITEMS_MAX {
        facts.disks.push(Disk {
            mount: name(),
            file_system: name(),
            device: name(),
            total_bytes: u64::MAX,
            free_bytes: u64::MAX,
            read_only: false,
            removable: true,
        });
        facts.interfaces.push(NetworkInterface {
            name: name(),
            kind: LinkKind::Virtual,
            up: true,
            speed_mbit: u32::MAX,
            addresses: vec![name(), "fe80::1/64".to_owned(), "10.0.0.1/33".to_owned()],
            default_route: true,
        });
        facts.routes.push(Route {
            destination: name(),
            gateway: Some(name()),
            network_interface: name(),
        });
        facts.gpus.push(Gpu {
            name: name(),
            power_limit_min_w: Some(u32::MAX),
            power_limit_max_w: Some(0),
            ..card(&name(), Vendor::Other)
        });
        facts.listeners.push(Listener {
            protocol: Protocol::Udp,
            address: name(),
            port: 7420,
            program: Some(name()),
        });
        facts.packages.push(PackageFacts {
            name: name(),
            installed: Some(name()),
            available: None,
        });
        facts.units.push(UnitFacts {
            name: name(),
            enabled: true,
            active: false,
        });
        facts.programs.push(Program {
            name: name(),
            path: name(),
            version: Some(name()),
        });
        facts.services.push(Service {
            url: name(),
            plugin: name(),
            models: vec![name()],
        });
        facts.neighbours.push(Neighbour {
            name: name(),
            address: name(),
            cluster: Some(name()),
        });
        facts.name_servers.push(name());
        facts.groups.push(name());
    }
    facts
}

/// Answers that fit no question, or do only by accident.
pub(super) fn nonsense() -> Vec<Value> {
    vec![
        Value::Text(String::new()),
        Value::Text("\u{1b}[2J\n\0".to_owned()),
        Value::Text("../../etc/passwd".to_owned()),
        Value::Text("\"; reboot; \"".to_owned()),
        Value::Text("é🐝".repeat(STEP_VALUE_BYTES / 8)),
        Value::Number(i64::MIN),
        Value::Number(i64::MAX),
        Value::Flag(true),
        Value::Several(vec!["nothing of the kind".to_owned(); 64]),
        Value::SecretGiven,
    ]
}

fn machine(os: &str, version: &str, manager: &str) -> Facts {
    let mut facts = Facts::default();
    facts.system.os = os.to_owned();
    facts.system.os_version = version.to_owned();
    facts.system.os_name = format!("{os} {version}");
    facts.system.architecture = "x86_64".to_owned();
    facts.system.kernel = "6.12.48".to_owned();
    facts.system.host_name = "hive".to_owned();
    facts.system.package_manager = manager.to_owned();
    facts.system.systemd = Some(257);
    facts.system.cores = 8;
    facts.system.memory_bytes = 32 << 30;
    facts.system.memory_free_bytes = 24 << 30;
    facts.system.clock_kept = Some(true);
    facts.system.now_unix_s = 1_790_000_000;
    facts.agent.version = "0.1.0".to_owned();
    facts.agent.node = "hive".to_owned();
    facts.agent.executable = "/usr/bin/skep".to_owned();
    facts.agent.config_folder = "/etc/skep".to_owned();
    facts.agent.data_folder = "/var/lib/skep".to_owned();
    facts.agent.cache_folder = "/var/cache/skep".to_owned();
    facts.agent.user = "root".to_owned();
    facts.agent.uid = 0;
    facts.agent.home = "/root".to_owned();
    facts.agent.listen = "127.0.0.1:7420".to_owned();
    facts.disks = vec![Disk {
        mount: "/".to_owned(),
        file_system: "ext4".to_owned(),
        device: "/dev/nvme0n1p2".to_owned(),
        total_bytes: 500_000_000_000,
        free_bytes: 300_000_000_000,
        read_only: false,
        removable: false,
    }];
    facts.interfaces = vec![
        interface("lo", LinkKind::Loopback, "127.0.0.1/8"),
        NetworkInterface {
            default_route: true,
            ..interface("eth0", LinkKind::Ethernet, "192.168.1.10/24")
        },
    ];
    facts.routes = vec![Route {
        destination: "192.168.1.0/24".to_owned(),
        gateway: None,
        network_interface: "eth0".to_owned(),
    }];
    facts.listeners = vec![Listener {
        protocol: Protocol::Tcp,
        address: "127.0.0.1".to_owned(),
        port: 7420,
        program: Some("skep".to_owned()),
    }];
    facts.accounts = vec![Account {
        name: "root".to_owned(),
        uid: 0,
        groups: vec!["root".to_owned()],
        home: "/root".to_owned(),
    }];
    facts
}

/// The agent is run by a person.
fn owned(mut facts: Facts) -> Facts {
    facts.agent.user = "sam".to_owned();
    facts.agent.uid = 1000;
    facts.agent.home = "/home/sam".to_owned();
    facts.agent.config_folder = "/home/sam/.config/skep".to_owned();
    facts.agent.data_folder = "/home/sam/.local/share/skep".to_owned();
    facts.agent.cache_folder = "/home/sam/.cache/skep".to_owned();
    facts.accounts.push(Account {
        name: "sam".to_owned(),
        uid: 1000,
        groups: vec!["sam".to_owned()],
        home: "/home/sam".to_owned(),
    });
    facts
}

fn interface(name: &str, kind: LinkKind, address: &str) -> NetworkInterface {
    NetworkInterface {
        name: name.to_owned(),
        kind,
        up: true,
        speed_mbit: 1_000,
        addresses: vec![address.to_owned()],
        default_route: false,
    }
}

fn card(id: &str, vendor: Vendor) -> Gpu {
    Gpu {
        id: id.to_owned(),
        name: "A card".to_owned(),
        vendor,
        pci_id: "10de:2684".to_owned(),
        memory_bytes: 24 << 30,
        module: Some("nvidia".to_owned()),
        driver: Some("580.95.05".to_owned()),
        power_limit_w: Some(450),
        power_limit_min_w: Some(150),
        power_limit_max_w: Some(600),
    }
}

fn firewall(kind: FirewallKind, active: Option<bool>) -> Firewall {
    Firewall { kind, active }
}
