//! Images of containers: what they are pulled from, and what their files are called.

use std::fmt;
use std::str::FromStr;

/// Where an image is pulled from, as Apptainer takes it: `docker://vllm/vllm-openai:v0.11.0`, `oras://...`, `library://...`,
/// `https://...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSource(String);

/// Why a text is no source of an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no source of an image: it is a URI such as docker://ORG/NAME:TAG, without a user or password"
)]
pub struct BadImageSource(String);

impl ImageSource {
    /// It as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for another image tomorrow: it names neither a tag nor a digest, or the tag `latest`.
    pub fn is_moving(&self) -> bool {
        let last = self.0.rsplit('/').next().unwrap_or_default();
        match (last.contains('@'), last.rsplit_once(':')) {
            (true, _) => false,
            (false, Some((_, tag))) => tag == "latest",
            (false, None) => !last.ends_with(".sif"),
        }
    }

    /// The name that Apptainer gives its file: `NAME_TAG` (apptainer-pull(1)).
    pub fn name(&self) -> ImageName {
        let last = self.0.rsplit('/').next().unwrap_or_default();
        let last = last.strip_suffix(".sif").unwrap_or(last);
        let (name, tag) = match last.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.rsplit(':').next().unwrap_or_default();
                (name, digest.chars().take(12).collect())
            }
            None => {
                last.split_once(':').map_or((last, "latest".to_owned()), |(name, tag)| (name, tag.to_owned()))
            }
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
        let text: String = format!("{name}_{tag}").chars().map(plain).collect();
        ImageName(text.trim_start_matches(['-', '.', '_']).chars().take(ImageName::LONGEST).collect())
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ImageSource {
    type Err = BadImageSource;

    fn from_str(text: &str) -> Result<Self, BadImageSource> {
        // What stands before the host may be a password: it is told to nobody.
        if let Some((scheme, rest)) = text.split_once("://")
            && let Some((authority, path)) = rest.split_once('/')
            && let Some((_, host)) = authority.rsplit_once('@')
        {
            return Err(BadImageSource(format!("{scheme}://...@{host}/{path}").chars().take(100).collect()));
        }
        let is_scheme =
            |scheme: &str| matches!(scheme, "docker" | "oras" | "library" | "shub" | "http" | "https");
        let fits = text.split_once("://").is_some_and(|(scheme, rest)| {
            is_scheme(scheme) && rest.chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
        });
        if fits
            && text.len() <= 500
            && text.chars().all(|c| c.is_ascii_graphic())
            && !text.ends_with(['/', ':', '@'])
        {
            let source = Self(text.to_owned());
            if !source.name().0.is_empty() {
                return Ok(source);
            }
        }
        Err(BadImageSource(text.chars().take(100).collect()))
    }
}

/// The name of an image's file, without the ending `.sif`: letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName(String);

/// Why a text is no image's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name of an image: use up to 100 letters, digits, '-', '_' and '.', a letter or digit first"
)]
pub struct BadImageName(String);

impl ImageName {
    /// How many characters it may have.
    const LONGEST: usize = 100;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ImageName {
    type Err = BadImageName;

    fn from_str(text: &str) -> Result<Self, BadImageName> {
        let name = text.strip_suffix(".sif").unwrap_or(text);
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if plain && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= Self::LONGEST {
            return Ok(Self(name.to_owned()));
        }
        Err(BadImageName(text.chars().take(100).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_gives_the_name_that_apptainer_would() {
        for (source, name) in [
            ("docker://vllm/vllm-openai:v0.11.0", "vllm-openai_v0.11.0"),
            ("docker://ghcr.io:443/a/b", "b_latest"),
            ("docker://alpine@sha256:0123456789abcdef", "alpine_0123456789ab"),
            ("https://lab.edu/images/x.sif", "x_latest"),
            ("oras://r/.odd:1+2", "odd_1_2"),
        ] {
            let source: ImageSource = source.parse().unwrap();
            assert_eq!(source.name().as_str(), name);
            assert!(source.name().as_str().parse::<ImageName>().is_ok());
        }
        let long: ImageSource = format!("docker://x/{}:1", "n".repeat(300)).parse().unwrap();
        assert!(long.name().as_str().parse::<ImageName>().is_ok());
    }

    #[test]
    fn what_is_no_source_is_refused() {
        for bad in [
            "",
            "vllm",
            "docker://",
            "docker://-x",
            "docker://a b",
            "file:///etc/passwd",
            "docker://a\n",
            "docker://a:",
            "docker://x/_:-",
            "docker://u:s3cret@host/x:5",
        ] {
            let error = bad.parse::<ImageSource>().unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        for bad in ["", "-x", ".x", "a/b", "a b", "..", "ä"] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_tag_or_digest_pins_an_image() {
        let moving = |text: &str| text.parse::<ImageSource>().unwrap().is_moving();
        for source in ["docker://a/b", "docker://a/b:latest", "docker://host:5000/b"] {
            assert!(moving(source), "{source}");
        }
        for source in ["docker://a/b:1.2", "docker://a/b@sha256:00", "https://x/y.sif"] {
            assert!(!moving(source), "{source}");
        }
    }
}
