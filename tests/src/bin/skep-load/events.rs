//! Server-sent events out of a body that comes in pieces.

/// Cuts a growing body into events.
#[derive(Default)]
pub(crate) struct Events {
    body: Vec<u8>,
    at: usize,
}

impl Events {
    /// Where the next piece of the body is appended.
    pub(crate) fn body(&mut self) -> &mut Vec<u8> {
        if self.at > 0 {
            self.body.drain(..self.at);
            self.at = 0;
        }
        &mut self.body
    }

    /// The data of the next whole event; comments are passed over.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        loop {
            let rest = self.body.get(self.at..)?;
            let end = rest.windows(2).position(|pair| pair == b"\n\n")?;
            let from = self.at;
            self.at += end + 2;
            if rest.starts_with(b"data:") {
                return self.body.get(from + 5..from + end).map(<[u8]>::trim_ascii);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_at_blank_lines_only() {
        let mut events = Events::default();
        let mut seen = Vec::new();
        for piece in ["data: a\n", "\nda", "ta:b\n\n: waiting\n\ndata: [DONE]\n\n"] {
            events.body().extend_from_slice(piece.as_bytes());
            while let Some(event) = events.next() {
                seen.push(String::from_utf8(event.to_vec()).unwrap());
            }
        }
        assert_eq!(seen, ["a", "b", "[DONE]"]);
    }
}
