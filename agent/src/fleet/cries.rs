//! What a worker writes to its standard error: a panic, a driver's last words.
//!
//! Decides that it reaches the log as a plugin's lines do, cut, escaped and limited, and never a terminal: whoever has taken
//! a worker over could move a cursor there.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::link::write_line;
use super::replica::Replica;
use crate::host::Pen;
use crate::limits::LOG_LINE_BYTES;
use crate::protocol::LineLevel;

/// Passes lines on until the worker is gone.
pub(super) async fn pass_on(replica: Arc<Replica>, mut said: impl AsyncRead + Unpin) {
    let mut pen = Pen::new();
    let mut line = Vec::new();
    let mut heard = vec![0; LOG_LINE_BYTES];
    while let Ok(count @ 1..) = said.read(&mut heard).await {
        for byte in heard.iter().take(count) {
            match byte {
                b'\n' => write(&replica, &mut pen, &mut line),
                // What is longer is cut by one more, so that it shows.
                _ if line.len() > LOG_LINE_BYTES => {}
                byte => line.push(*byte),
            }
        }
    }
    write(&replica, &mut pen, &mut line);
}

fn write(replica: &Replica, pen: &mut Pen, line: &mut Vec<u8>) {
    if !line.is_empty() {
        pen.write(LineLevel::Warn, &String::from_utf8_lossy(line));
        line.clear();
    }
    for line in pen.take() {
        write_line(replica, &line);
    }
}
