//! A machine of which nothing is known: what facts begin as.

#![allow(
    clippy::derivable_impls,
    reason = "the records are generated, and derive no default"
)]

use super::{Agent, Facts, System};

impl Default for Facts {
    fn default() -> Self {
        Self {
            system: System::default(),
            agent: Agent::default(),
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
}

impl Default for System {
    fn default() -> Self {
        Self {
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
        }
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            version: String::new(),
            node: String::new(),
            executable: String::new(),
            config_folder: String::new(),
            data_folder: String::new(),
            cache_folder: String::new(),
            settings: Vec::new(),
            user: String::new(),
            // Nobody: what is not known may do nothing.
            uid: 65534,
            home: String::new(),
            listen: String::new(),
            nodes: 1,
            secrets: Vec::new(),
            upstreams: Vec::new(),
            models: Vec::new(),
        }
    }
}
