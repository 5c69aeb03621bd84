//! A small HTTP client for the parts among each other: kept connections, one request at a time on each.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest answer, bytes.
const MOST: usize = 64 << 20;
/// Connections that are kept.
const KEPT: usize = 64;

/// One part that is asked.
pub(crate) struct Client {
    address: SocketAddr,
    key: String,
    again: bool,
    idle: Mutex<Vec<TcpStream>>,
}

/// What came back.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// The body as a value; an error names what is wrong.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|e| format!("an answer cannot be read: {e}"))
    }

    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        self.read().unwrap_or_default()
    }
}

impl Client {
    /// Asks the part at `address`.
    pub(crate) fn new(address: SocketAddr, key: &str) -> Client {
        Client { address, key: key.to_owned(), again: true, idle: Mutex::default() }
    }

    /// Asks the part at `address` and tells every connection that ends, a kept one, too.
    pub(crate) fn strict(address: SocketAddr, key: &str) -> Client {
        Client { again: false, ..Client::new(address, key) }
    }

    /// GET within two seconds.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, String> {
        self.call("GET", path, None, Duration::from_secs(2)).await
    }

    /// POST of JSON within five seconds.
    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer, String> {
        self.post_within(path, body, Duration::from_secs(5)).await
    }

    /// POST of JSON within `limit`.
    pub(crate) async fn post_within(
        &self,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<Answer, String> {
        let body = serde_json::to_vec(body).map_err(|e| e.to_string())?;
        self.call("POST", path, Some(&body), limit).await
    }

    /// One request. Errors: no connection, one that ended too early, no answer in time. A connection that was kept
    /// may have ended meanwhile, so a failure on one is tried again on a new one: every request between the
    /// parts may be made twice.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Answer, String> {
        let work = async {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            if let Some(stream) = kept {
                let result = self.exchange(stream, method, path, body).await;
                if result.is_ok() || !self.again {
                    return result;
                }
            }
            let stream = TcpStream::connect(self.address).await.map_err(|e| e.to_string())?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            self.exchange(stream, method, path, body).await
        };
        match tokio::time::timeout(limit, work).await {
            Ok(result) => result.map_err(|why| format!("{} does not answer: {why}", self.address)),
            Err(_) => Err(format!("{} does not answer in time", self.address)),
        }
    }

    async fn exchange(
        &self,
        mut stream: TcpStream,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Answer, String> {
        let told = |e: std::io::Error| e.to_string();
        let body = body.unwrap_or_default();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nx-api-key: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.address,
            self.key,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        stream.write_all(&request).await.map_err(told)?;
        let mut bytes = Vec::with_capacity(4096);
        loop {
            if stream.read_buf(&mut bytes).await.map_err(told)? == 0 {
                return Err("the connection ended".into());
            }
            if let Some((status, start, length)) = head(&bytes)? {
                while bytes.len() < start + length {
                    if stream.read_buf(&mut bytes).await.map_err(told)? == 0 {
                        return Err("the connection ended within an answer".into());
                    }
                }
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < KEPT {
                    idle.push(stream);
                }
                return Ok(Answer { status, body: bytes[start..start + length].to_vec() });
            }
        }
    }
}

/// Status, start of the body and its length, once the head is complete.
fn head(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = response.parse(bytes).map_err(|e| e.to_string())? else {
        return if bytes.len() < 16 * 1024 { Ok(None) } else { Err("the head is too long".into()) };
    };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = match length {
        Some(header) => std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok()),
        None => Some(0),
    };
    let length = length.filter(|length| *length <= MOST).ok_or("the length cannot be read")?;
    Ok(Some((response.code.unwrap_or(0), start, length)))
}

#[cfg(test)]
mod tests {
    use super::head;

    #[test]
    fn heads_are_read_when_complete() {
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent-Le"), Ok(None));
        assert_eq!(head(b"HTTP/1.1 204 No Content\r\n\r\n"), Ok(Some((204, 27, 0))));
        assert_eq!(head(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab"), Ok(Some((200, 38, 3))));
        assert!(head(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n").is_err());
        assert!(head(b"hello").is_err());
    }
}
