//! What the kernel drops before this process is woken for it: classic BPF on a socket (socket(7),
//! `SO_ATTACH_FILTER`; its instructions are in the kernel's `Documentation/networking/filter.rst`).

use std::io;
use std::net::UdpSocket;

use socket2::{SockFilter, SockRef};

/// Nothing comes through any more, except errors.
pub(super) fn nothing(socket: &UdpSocket) -> io::Result<()> {
    SockRef::from(socket).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])
}

/// Datagrams that are too short to be of QUIC do not come through: those by which neighbours see that the
/// port is open (`canary.rs`).
pub(super) fn no_canaries(socket: &UdpSocket) -> io::Result<()> {
    SockRef::from(socket).attach_filter(&[
        SockFilter::new(LOAD_LENGTH, 0, 0, 0),
        SockFilter::new(JUMP_IF_GREATER, 1, 0, SHORT_BYTES),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// `BPF_LD | BPF_W | BPF_LEN`
const LOAD_LENGTH: u16 = 0x80;

/// `BPF_JMP | BPF_JGT | BPF_K`
const JUMP_IF_GREATER: u16 = 0x25;

/// `BPF_RET | BPF_K`: as many bytes as this come through.
const RETURN: u16 = 0x06;

/// The 8 bytes of UDP's header, and less than the 21 of QUIC's shortest packet (RFC 9000, section 10.3).
const SHORT_BYTES: u32 = 8 + 4;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn sockets() -> (UdpSocket, UdpSocket) {
        let [to, from] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        from.connect(to.local_addr().unwrap()).unwrap();
        to.set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        (from, to)
    }

    #[test]
    fn what_is_too_short_for_quic_is_not_seen_and_all_else_is() {
        let (from, to) = sockets();
        no_canaries(&to).unwrap();
        for length in [1, 4, 21, 1_200] {
            from.send(&vec![7; length]).unwrap();
        }
        let mut buffer = [0; 2_000];
        assert_eq!(to.recv(&mut buffer).unwrap(), 21);
        assert_eq!(to.recv(&mut buffer).unwrap(), 1_200);
        assert!(to.recv(&mut buffer).is_err());
    }

    #[test]
    fn nothing_is_nothing() {
        let (from, to) = sockets();
        nothing(&to).unwrap();
        from.send(&[7; 100]).unwrap();
        assert!(to.recv(&mut [0; 100]).is_err());
    }
}
