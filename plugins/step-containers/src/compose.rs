//! The compose file (the Compose specification). Values are in double quotes, where YAML and JSON agree.

use alloc::format;
use alloc::string::String;

use skep_sdk::installer::Facts;

use super::Container;

pub(crate) fn text(facts: &Facts, container: &Container) -> String {
    let mut text = String::from(
        "# Made by the setup of skep, which makes it anew when it is gone through again.\n\
         name: skep\n\
         services:\n  skep:\n",
    );
    let mut line = |indent: usize, line: String| {
        text.push_str(&" ".repeat(indent));
        text.push_str(&line);
        text.push('\n');
    };
    line(4, format!("image: {}", quoted(&container.image)));
    line(4, "command: [\"skep\", \"up\"]".into());
    line(4, "environment:".into());
    line(6, "SKEP_HOME: \"/var/lib/skep\"".into());
    let listen = format!("127.0.0.1:{}", container.port);
    line(6, format!("SKEP_HTTP_LISTEN: {}", quoted(&listen)));
    if container.cards {
        line(6, "SKEP_NODE_DEVICE: \"auto\"".into());
    }
    line(4, "volumes:".into());
    let program = format!("{}:/usr/local/bin/skep:ro", facts.agent.executable);
    line(6, format!("- {}", quoted(&program)));
    let data = format!("{}/data:/var/lib/skep", container.folder);
    line(6, format!("- {}", quoted(&data)));
    // The agent listens on loopback alone, which is the machine's own only so.
    line(4, "network_mode: \"host\"".into());
    line(4, "restart: \"unless-stopped\"".into());
    line(4, "init: true".into());
    line(4, "read_only: true".into());
    line(4, "tmpfs: [\"/tmp\"]".into());
    line(4, "cap_drop: [\"ALL\"]".into());
    line(4, "security_opt: [\"no-new-privileges:true\"]".into());
    if container.cards {
        line(4, "deploy:".into());
        line(6, "resources:".into());
        line(8, "reservations:".into());
        line(10, "devices:".into());
        line(12, "- driver: \"nvidia\"".into());
        line(14, "count: \"all\"".into());
        line(14, "capabilities: [\"gpu\"]".into());
    }
    text
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            // Compose puts variables in where one stands alone.
            '$' => quoted.push_str("$$"),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
