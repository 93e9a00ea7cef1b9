//! Tokenizes lines with the tokenizer of a GGUF file, for comparing with other implementations.
//!
//! `tokenize FILE [add-special] [parse-special]` reads a JSON string from each line and writes its token ids as a
//! JSON array. `tokenize FILE decode` reads arrays and writes strings.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

use llama::gguf::{Gguf, ReadError, Source};
use llama::tokenizer::Tokenizer;

struct Disk(File);

impl Source for Disk {
    fn size_bytes(&self) -> u64 {
        self.0
            .metadata()
            .map(|metadata| metadata.len())
            .unwrap_or_default()
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; length];
        let mut file = &self.0;
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|error| ReadError(error.to_string()))?;
        Ok(bytes)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .ok_or("usage: tokenize FILE [add-special] [parse-special] | FILE decode")?;
    let flags: Vec<String> = arguments.collect();
    let has = |name: &str| flags.iter().any(|flag| flag == name);
    let tokenizer = Tokenizer::from_gguf(&Gguf::parse(&Disk(File::open(path)?))?)?;
    let mut output = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let line = line?;
        if has("decode") {
            let ids: Vec<u32> = serde_json::from_str(&line)?;
            serde_json::to_writer(&mut output, &tokenizer.decode(&ids, true))?;
        } else {
            let text: String = serde_json::from_str(&line)?;
            let ids = tokenizer.encode(&text, has("add-special"), has("parse-special"))?;
            serde_json::to_writer(&mut output, &ids)?;
        }
        writeln!(output)?;
    }
    Ok(output.flush()?)
}
