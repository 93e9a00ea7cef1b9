//! What may be a name, a label or an address.

use std::net::SocketAddr;

use super::refusal::Refusal;
use crate::ids::NodeId;
use crate::limits::{LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, NAME_BYTES_MAX};
use crate::membership::Peer;

/// A name of a node or a cluster.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let fits = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.chars().any(is_deceiving)
        && name.trim() == name
        // It would be taken for an id.
        && name.parse::<NodeId>().is_err();
    if fits {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
    Err(Refusal::Name {
        name: shown.escape_debug().to_string(),
    })
}

pub(super) fn check_label(key: &str, value: Option<&str>) -> Result<(), Refusal> {
    let key_fits = (1..=LABEL_KEY_BYTES_MAX).contains(&key.len())
        && key
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(letter));
    let value_fits = value.is_none_or(|value| {
        value.len() <= LABEL_VALUE_BYTES_MAX && !value.chars().any(is_deceiving)
    });
    if key_fits && value_fits {
        return Ok(());
    }
    Err(Refusal::Label)
}

pub(super) fn check_address(address: SocketAddr) -> Result<(), Refusal> {
    let peer = Peer {
        node: NodeId([0; 16]),
        generation: 0,
        address,
    };
    if peer.is_reachable() {
        return Ok(());
    }
    Err(Refusal::Address(address))
}

/// Whether text shows all that it has.
pub(super) fn is_plain(text: &str) -> bool {
    !text.chars().any(is_deceiving)
}

/// Control characters, and those that show text in another order than it has or show nothing.
fn is_deceiving(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
