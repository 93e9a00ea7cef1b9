//! Machines to try a step on: made up, each as one of its kind usually is.

use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::{
    Account, Agent, Disk, Facts, Firewall, FirewallKind, Gpu, LinkKind, Listener, NetworkInterface,
    Protocol, Route, System, Vendor,
};

/// A machine of which nothing is known, as where nothing may be looked at.
#[must_use]
pub fn nothing() -> Facts {
    Facts {
        system: System {
            os: String::new(),
            os_version: String::new(),
            os_name: String::new(),
            architecture: String::new(),
            kernel: String::new(),
            host_name: String::new(),
            package_manager: String::new(),
            systemd: None,
            container: None,
            cores: 0,
            memory_bytes: 0,
            memory_free_bytes: 0,
            swap_bytes: 0,
            clock_kept: None,
            now_unix_s: 0,
        },
        agent: Agent {
            version: String::new(),
            node: String::new(),
            executable: String::new(),
            config_folder: String::new(),
            data_folder: String::new(),
            cache_folder: String::new(),
            settings: Vec::new(),
            user: String::new(),
            uid: 65534,
            home: String::new(),
            listen: String::new(),
            nodes: 1,
            secrets: Vec::new(),
            upstreams: Vec::new(),
            models: Vec::new(),
        },
        disks: Vec::new(),
        interfaces: Vec::new(),
        routes: Vec::new(),
        name_servers: Vec::new(),
        gpus: Vec::new(),
        listeners: Vec::new(),
        firewalls: Vec::new(),
        files: Vec::new(),
        packages: Vec::new(),
        units: Vec::new(),
        accounts: Vec::new(),
        groups: Vec::new(),
        programs: Vec::new(),
        services: Vec::new(),
        neighbours: Vec::new(),
    }
}

/// A server with Debian 13: nftables, a disk of 500 GB, an agent that root runs.
#[must_use]
pub fn debian() -> Facts {
    let mut facts = machine();
    facts.system.os = "debian".into();
    facts.system.os_version = "13".into();
    facts.system.os_name = "Debian GNU/Linux 13 (trixie)".into();
    facts.system.package_manager = "apt".into();
    facts.system.systemd = Some(257);
    facts.firewalls = vec![firewall(FirewallKind::Nftables, Some(true))];
    facts
}

/// A desktop with Fedora: firewalld, an agent that a person runs.
#[must_use]
pub fn fedora() -> Facts {
    let mut facts = of_a_person(machine());
    facts.system.os = "fedora".into();
    facts.system.os_version = "43".into();
    facts.system.os_name = "Fedora Linux 43 (Workstation Edition)".into();
    facts.system.package_manager = "dnf".into();
    facts.system.systemd = Some(258);
    facts.firewalls = vec![firewall(FirewallKind::Firewalld, Some(true))];
    facts
}

/// A workstation with Arch Linux: no firewall, no version, an agent that a person runs.
#[must_use]
pub fn arch() -> Facts {
    let mut facts = of_a_person(machine());
    facts.system.os = "arch".into();
    facts.system.os_name = "Arch Linux".into();
    facts.system.package_manager = "pacman".into();
    facts.system.systemd = Some(258);
    facts
}

/// A card of NVIDIA with 24 GiB and its driver; `index` tells one from another.
#[must_use]
pub fn nvidia(index: u32) -> Gpu {
    Gpu {
        id: "GPU-".to_string() + &index.to_string(),
        name: "NVIDIA RTX 4090".into(),
        vendor: Vendor::Nvidia,
        pci_id: "10de:2684".into(),
        memory_bytes: 24 << 30,
        module: Some("nvidia".into()),
        driver: Some("580.95.05".into()),
        power_limit_w: Some(450),
        power_limit_min_w: Some(150),
        power_limit_max_w: Some(600),
    }
}

/// The same machine with an agent that a person runs, not root.
#[must_use]
pub fn of_a_person(mut facts: Facts) -> Facts {
    facts.agent.user = "sam".into();
    facts.agent.uid = 1000;
    facts.agent.home = "/home/sam".into();
    facts.agent.config_folder = "/home/sam/.config/skep".into();
    facts.agent.data_folder = "/home/sam/.local/share/skep".into();
    facts.agent.cache_folder = "/home/sam/.cache/skep".into();
    facts.accounts = vec![Account {
        name: "sam".into(),
        uid: 1000,
        groups: vec!["sam".into(), "users".into()],
        home: "/home/sam".into(),
    }];
    facts
}

fn machine() -> Facts {
    let mut facts = nothing();
    facts.system.architecture = "x86_64".into();
    facts.system.kernel = "6.12.48".into();
    facts.system.host_name = "hive".into();
    facts.system.cores = 8;
    facts.system.memory_bytes = 32 << 30;
    facts.system.memory_free_bytes = 24 << 30;
    facts.system.clock_kept = Some(true);
    facts.system.now_unix_s = 1_790_000_000;
    facts.agent = Agent {
        version: "0.1.0".into(),
        node: "hive".into(),
        executable: "/usr/bin/skep".into(),
        config_folder: "/etc/skep".into(),
        data_folder: "/var/lib/skep".into(),
        cache_folder: "/var/cache/skep".into(),
        user: "root".into(),
        uid: 0,
        home: "/root".into(),
        listen: "127.0.0.1:7420".into(),
        models: vec!["tiny".into()],
        ..facts.agent
    };
    facts.disks = vec![Disk {
        mount: "/".into(),
        file_system: "ext4".into(),
        device: "/dev/nvme0n1p2".into(),
        total_bytes: 500_000_000_000,
        free_bytes: 300_000_000_000,
        read_only: false,
        removable: false,
    }];
    facts.interfaces = vec![
        NetworkInterface {
            name: "lo".into(),
            kind: LinkKind::Loopback,
            up: true,
            speed_mbit: 0,
            addresses: vec!["127.0.0.1/8".into(), "::1/128".into()],
            default_route: false,
        },
        NetworkInterface {
            name: "eth0".into(),
            kind: LinkKind::Ethernet,
            up: true,
            speed_mbit: 1000,
            addresses: vec!["192.168.1.10/24".into(), "fe80::1/64".into()],
            default_route: true,
        },
    ];
    facts.routes = vec![
        Route {
            destination: "0.0.0.0/0".into(),
            gateway: Some("192.168.1.1".into()),
            network_interface: "eth0".into(),
        },
        Route {
            destination: "192.168.1.0/24".into(),
            gateway: None,
            network_interface: "eth0".into(),
        },
    ];
    facts.name_servers = vec!["192.168.1.1".into()];
    facts.listeners = vec![
        Listener {
            protocol: Protocol::Tcp,
            address: "127.0.0.1".into(),
            port: 7420,
            program: Some("skep".into()),
        },
        Listener {
            protocol: Protocol::Tcp,
            address: "0.0.0.0".into(),
            port: 22,
            program: Some("sshd".into()),
        },
    ];
    facts.accounts = vec![Account {
        name: "root".into(),
        uid: 0,
        groups: vec!["root".into()],
        home: "/root".into(),
    }];
    facts.groups = vec![
        "root".into(),
        "users".into(),
        "video".into(),
        "render".into(),
    ];
    facts
}

const fn firewall(kind: FirewallKind, active: Option<bool>) -> Firewall {
    Firewall { kind, active }
}
