//! The client's side: one request, and the response to it. For callbacks.
//!
//! Owns: URLs, the bytes of a request, and reading the response. Does not know how a connection is made, and follows
//! no redirects. There is one request for each connection.

#[cfg(test)]
mod tests;
mod url;

use bytes::{BufMut as _, Bytes, BytesMut};
use thiserror::Error;

use super::body::{BodyError, BodyReader, Framing};
use super::fields::Fields;
use super::response::{field, has_body};

pub use self::url::{Url, UrlError};

/// Interim responses (RFC 9110, 15.2) that are read past.
const INTERIM_RESPONSES: usize = 8;

/// The bytes of a GET request. Control characters in values are sent as spaces.
pub fn get(url: &Url, headers: &[(&str, &str)]) -> Bytes {
    request("GET", url, headers, None)
}

/// The bytes of a POST request. Control characters in values are sent as spaces.
pub fn post(url: &Url, headers: &[(&str, &str)], content_type: &str, body: &[u8]) -> Bytes {
    request("POST", url, headers, Some((content_type, body)))
}

fn request(method: &str, url: &Url, headers: &[(&str, &str)], body: Option<(&str, &[u8])>) -> Bytes {
    let mut head = format!("{method} {} HTTP/1.1\r\n", url.target());
    field(&mut head, "Host", &url.host_header());
    for (name, value) in headers {
        field(&mut head, name, value);
    }
    if let Some((content_type, body)) = body {
        field(&mut head, "Content-Type", content_type);
        field(&mut head, "Content-Length", &body.len().to_string());
    }
    field(&mut head, "Connection", "close");
    head.push_str("\r\n");
    let body = body.map_or(&b""[..], |(_, body)| body);
    let mut bytes = BytesMut::with_capacity(head.len() + body.len());
    bytes.put_slice(head.as_bytes());
    bytes.put_slice(body);
    bytes.freeze()
}

/// What a response may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseLimits {
    /// Longest head, in bytes.
    pub head_bytes: usize,
    /// Header fields.
    pub headers: usize,
    /// Longest body, in bytes.
    pub body_bytes: usize,
}

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientResponse {
    /// Status code, 200 to 999.
    pub status: u16,
    /// Header fields.
    pub fields: Fields,
    /// Body.
    pub body: Bytes,
}

impl ClientResponse {
    /// Whether the request was answered with what it asked for (2xx).
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// Why a response cannot be read. Every one closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClientError {
    /// What arrived is no response that can be understood.
    #[error("this is no HTTP/1 response: {0}")]
    NotHttp(&'static str),
    /// The head is longer than the limit, in bytes.
    #[error("the response's head is longer than {0} bytes")]
    HeadTooLong(usize),
    /// More headers than the limit.
    #[error("the response has more than {0} headers")]
    TooManyHeaders(usize),
    /// The body is longer than the limit, in bytes.
    #[error("the response's body is longer than {0} bytes")]
    BodyTooLong(usize),
    /// The server closed before the response was whole.
    #[error("the server closed before its response was whole")]
    Ended,
    /// More came, or was asked for, after the response was whole or an error was told.
    #[error("the response was read already")]
    Done,
}

/// Reads the response to one request.
#[derive(Debug)]
pub struct ResponseReader {
    limits: ResponseLimits,
    stage: Stage,
    /// The head under way.
    buffer: Vec<u8>,
    interim: usize,
}

#[derive(Debug)]
enum Stage {
    Head,
    Body(Box<(ClientResponse, BodyReader)>),
    Done,
}

impl ResponseReader {
    /// A reader for the response to a [`get`] or [`post`].
    pub const fn new(limits: ResponseLimits) -> Self {
        ResponseReader { limits, stage: Stage::Head, buffer: Vec::new(), interim: 0 }
    }

    /// Takes bytes of the server. Gives the response once it is whole; the connection closes then.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn handle_input(&mut self, input: &[u8]) -> Result<Option<ClientResponse>, ClientError> {
        let result = self.read(input);
        if !matches!(result, Ok(None)) {
            self.stage = Stage::Done;
            self.buffer = Vec::new();
        }
        result
    }

    /// The server closed. Gives the response where that is its end.
    ///
    /// # Errors
    /// [`ClientError::Ended`] where it is not.
    pub fn handle_end(&mut self) -> Result<ClientResponse, ClientError> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Body(incoming) if incoming.1.ends_with_connection() => Ok(with_body(*incoming)),
            Stage::Done => Err(ClientError::Done),
            Stage::Head | Stage::Body(_) => Err(ClientError::Ended),
        }
    }

    fn read(&mut self, input: &[u8]) -> Result<Option<ClientResponse>, ClientError> {
        let mut rest = input;
        while matches!(self.stage, Stage::Head) {
            if !self.read_head(&mut rest)? {
                return Ok(None);
            }
            self.begin_response()?;
        }
        let limit = self.limits.body_bytes;
        let Stage::Body(incoming) = &mut self.stage else { return Err(ClientError::Done) };
        if !incoming.1.read(&mut rest).map_err(|error| body_error(error, limit))? {
            return Ok(None);
        }
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Body(incoming) => Ok(Some(with_body(*incoming))),
            Stage::Head | Stage::Done => Ok(None),
        }
    }

    /// Takes lines up to the empty one. Says whether the head is whole.
    fn read_head(&mut self, rest: &mut &[u8]) -> Result<bool, ClientError> {
        const START: &[u8] = b"HTTP/1.";
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            *rest = after;
            if self.buffer.len() + line.len() > self.limits.head_bytes {
                return Err(ClientError::HeadTooLong(self.limits.head_bytes));
            }
            self.buffer.extend_from_slice(line);
            if !self.buffer.iter().zip(START).all(|(have, wanted)| have == wanted) {
                return Err(ClientError::NotHttp("it does not begin with HTTP/1"));
            }
            // Programs that people write themselves often end their lines with LF alone.
            if self.buffer.ends_with(b"\n\r\n") || self.buffer.ends_with(b"\n\n") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The head is whole. An interim one is dropped.
    fn begin_response(&mut self) -> Result<(), ClientError> {
        let head = std::mem::take(&mut self.buffer);
        let mut headers = vec![httparse::EMPTY_HEADER; self.limits.headers];
        let mut parsed = httparse::Response::new(&mut headers);
        let status = match (parsed.parse(&head), parsed.code) {
            (Ok(httparse::Status::Complete(_)), Some(status)) => status,
            (Err(httparse::Error::TooManyHeaders), _) => return Err(ClientError::TooManyHeaders(self.limits.headers)),
            _ => return Err(ClientError::NotHttp("its head cannot be read")),
        };
        match status {
            200..=999 => {}
            101 => return Err(ClientError::NotHttp("it upgrades to something else")),
            100..=199 if self.interim < INTERIM_RESPONSES => {
                self.interim += 1;
                return Ok(());
            }
            100..=199 => return Err(ClientError::NotHttp("it does not come to its end")),
            _ => return Err(ClientError::NotHttp("its status is no status")),
        }
        let fields = Fields::new(parsed.headers);
        let framing = framing(status, &fields, self.limits.body_bytes)?;
        let limit = self.limits.body_bytes;
        let reader = BodyReader::new(framing, limit).map_err(|error| body_error(error, limit))?;
        self.stage = Stage::Body(Box::new((ClientResponse { status, fields, body: Bytes::new() }, reader)));
        Ok(())
    }
}

fn with_body((mut response, reader): (ClientResponse, BodyReader)) -> ClientResponse {
    response.body = reader.into_data().into();
    response
}

fn body_error(error: BodyError, limit: usize) -> ClientError {
    match error {
        BodyError::TooLong => ClientError::BodyTooLong(limit),
        BodyError::Chunks(problem) => ClientError::NotHttp(problem),
    }
}

/// Where the body ends (RFC 9112, 6.3).
fn framing(status: u16, fields: &Fields, body_bytes: usize) -> Result<Framing, ClientError> {
    if !has_body(status) {
        return Ok(Framing::Length(0));
    }
    let mut codings = fields.all("Transfer-Encoding");
    let mut lengths = fields.all("Content-Length");
    match (codings.next(), codings.next(), lengths.next(), lengths.next()) {
        (None, _, None, _) => Ok(Framing::UntilClose),
        (Some(coding), None, None, _) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (None, _, Some(digits), None) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            let length = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            length.map(Framing::Length).ok_or(ClientError::BodyTooLong(body_bytes))
        }
        _ => Err(ClientError::NotHttp("it does not say clearly how long its body is")),
    }
}
