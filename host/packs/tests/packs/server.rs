//! An HTTP server on this machine whose faults the test chooses.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The answer to one request; the last of a list answers all that follow.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// Correct: the part that was asked for.
    Right,
    /// The part that was asked for, cut after this many bytes.
    Cut(usize),
    /// The whole file, for any request.
    Whole,
    /// The whole file, cut after this many bytes.
    WholeCut(usize),
    /// A part that was not asked for.
    OtherPart,
    /// Other bytes of the right number.
    OtherBytes,
    /// Bytes without an end.
    Endless,
    /// A status without a body.
    Status(u16),
}

/// Serves `content` at every path.
pub struct Server {
    pub address: String,
    /// The start of the range in each request.
    starts: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    pub fn start(content: &[u8], answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let starts = Arc::new(Mutex::new(Vec::new()));
        let (content, answers, seen) = (content.to_vec(), answers.to_vec(), starts.clone());
        std::thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { continue };
                let start = requested_start(&stream);
                seen.lock().unwrap().push(start);
                let answer = answers[i.min(answers.len() - 1)];
                // The client may hang up at any time.
                let _ = give(stream, &content, start, answer);
            }
        });
        Self { address, starts }
    }

    pub fn starts(&self) -> Vec<Option<usize>> {
        self.starts.lock().unwrap().clone()
    }
}

fn requested_start(stream: &TcpStream) -> Option<usize> {
    let mut start = None;
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        if line.is_empty() {
            break;
        }
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().ok();
        }
    }
    start
}

fn give(mut stream: TcpStream, content: &[u8], start: Option<usize>, answer: Answer) -> std::io::Result<()> {
    let all = content.len();
    let (whole, part, limit) = match answer {
        Answer::Right => (start.is_none(), start.unwrap_or(0), all),
        Answer::Cut(limit) => (start.is_none(), start.unwrap_or(0), limit),
        Answer::Whole | Answer::OtherBytes => (true, 0, all),
        Answer::WholeCut(limit) => (true, 0, limit),
        Answer::OtherPart => (false, 1, all),
        Answer::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        }
        Answer::Status(status) => {
            return write!(stream, "HTTP/1.1 {status} Reason\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    };
    let body = &content[part..];
    let status = if whole { "200 OK" } else { "206 Partial Content" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len())?;
    if !whole {
        write!(stream, "Content-Range: bytes {part}-{}/{all}\r\n", all - 1)?;
    }
    write!(stream, "\r\n")?;
    let body = &body[..limit.min(body.len())];
    if matches!(answer, Answer::OtherBytes) {
        return stream.write_all(&body.iter().map(|byte| !byte).collect::<Vec<u8>>());
    }
    stream.write_all(body)
}
