//! What a worker or a service writes to its standard error: a panic, a driver's last words.
//!
//! Decides that it reaches the log as a plugin's lines do, cut, escaped and limited, and never a terminal: whoever has taken
//! one over could move a cursor there.

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::host::Pen;
use crate::limits::LOG_LINE_BYTES;
use crate::protocol::{Line, LineLevel};

/// Passes lines on until the worker is gone.
pub(crate) async fn pass_on(mut said: impl AsyncRead + Unpin, tell: impl Fn(&Line)) {
    let mut pen = Pen::new();
    let mut line = Vec::new();
    let mut heard = vec![0; LOG_LINE_BYTES];
    while let Ok(count @ 1..) = said.read(&mut heard).await {
        for byte in heard.iter().take(count) {
            match byte {
                b'\n' => write(&tell, &mut pen, &mut line),
                // What is longer is cut by one more, so that it shows.
                _ if line.len() > LOG_LINE_BYTES => {}
                byte => line.push(*byte),
            }
        }
    }
    write(&tell, &mut pen, &mut line);
}

fn write(tell: &impl Fn(&Line), pen: &mut Pen, line: &mut Vec<u8>) {
    if !line.is_empty() {
        pen.write(LineLevel::Warn, &String::from_utf8_lossy(line));
        line.clear();
    }
    for line in pen.take() {
        tell(&line);
    }
}
