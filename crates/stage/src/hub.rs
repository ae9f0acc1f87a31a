//! The hub that models come from, and the token by which it knows who asks.

use std::fmt;
use std::str::FromStr;

/// Where models are downloaded from: an `https` URL, such as [`Hub::DEFAULT`] or that of a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    url: String,
}

/// Why a text is no hub's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no hub: {problem}")]
pub struct BadHub {
    text: String,
    problem: &'static str,
}

impl Hub {
    /// Hugging Face's own.
    pub const DEFAULT: &str = "https://huggingface.co";

    /// Its URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Whether what is sent to it can be read on the way.
    pub fn is_plain(&self) -> bool {
        self.url.starts_with("http://")
    }

    /// Whether it is on the machine itself where the download runs.
    pub fn is_loopback(&self) -> bool {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let host = rest.split('/').next().unwrap_or_default();
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        host == "localhost"
            || host == "::1"
            || host.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback())
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self { url: Self::DEFAULT.to_owned() }
    }
}

impl fmt::Display for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.url)
    }
}

impl FromStr for Hub {
    type Err = BadHub;

    fn from_str(text: &str) -> Result<Self, BadHub> {
        let bad = |problem| BadHub { text: text.to_owned(), problem };
        let url = text.trim_end_matches('/');
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it begins with https://"))?;
        if !matches!(scheme, "https" | "http") {
            return Err(bad("it begins with https://"));
        }
        let host = rest.split('/').next().unwrap_or_default();
        if host.is_empty() {
            return Err(bad("it names no host"));
        }
        if host.contains('@') {
            return Err(bad("a user or password does not belong there; a token has an option of its own"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%".contains(c);
        if !rest.chars().all(plain) {
            return Err(bad("it holds what an address does not"));
        }
        Ok(Self { url: url.to_owned() })
    }
}

/// A token of the hub. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why a text is no token; does not tell it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is one word of ASCII characters, without quotes")]
pub struct BadToken;

impl Token {
    /// A token, whose surrounding white space is dropped.
    ///
    /// # Errors
    /// [`BadToken`] if it is empty, or holds what no header can.
    pub fn new(text: &str) -> Result<Self, BadToken> {
        let text = text.trim();
        let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !"\"'\\".contains(c));
        if fits { Ok(Self(text.to_owned())) } else { Err(BadToken) }
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_the_url_of_a_host() {
        for good in [
            "https://huggingface.co",
            "https://hub.lab.edu:8443/hf/",
            "http://127.0.0.1:8080",
            "http://[::1]:80",
        ] {
            assert_eq!(good.parse::<Hub>().unwrap().as_str(), good.trim_end_matches('/'));
        }
        for bad in [
            "",
            "huggingface.co",
            "ftp://x",
            "https://",
            "https://u:p@x",
            "https://x/?q",
            "https://x\n",
            "https://x\"",
            "file:///etc",
        ] {
            assert!(bad.parse::<Hub>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_machine_itself_is_told_apart() {
        let hub = |text: &str| text.parse::<Hub>().unwrap();
        for near in ["http://127.0.0.1:8080", "http://localhost/x", "http://[::1]:80", "http://127.9.9.9"] {
            assert!(hub(near).is_loopback() && hub(near).is_plain(), "{near}");
        }
        for far in ["https://localhost.evil.example", "http://10.0.0.1", "http://127.0.0.1.example"] {
            assert!(!hub(far).is_loopback(), "{far}");
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        assert_eq!(format!("{:?}", Token::new(" hf_abc\n").unwrap()), "***");
        assert_eq!(Token::new(" hf_abc\n").unwrap().reveal(), "hf_abc");
        for bad in ["", " ", "a b", "a\"b", "a\\b", "a\nb", "ä"] {
            assert_eq!(Token::new(bad), Err(BadToken), "{bad:?}");
        }
    }
}
