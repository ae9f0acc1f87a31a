//! Models of the hub: their names, and the list of their files.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::error::StageError;
use crate::snapshots::{PREFIX, total};

/// The name of a model on the hub: `ORG/NAME`, or `NAME` alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ModelName(String);

/// Why a text is no model's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a model: it is ORG/NAME, of letters, digits, '-', '_' and '.'")]
pub struct BadModelName(String);

impl ModelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its directory in a cache.
    pub(crate) fn directory(&self) -> String {
        format!("{PREFIX}{}", self.0.replace('/', "--"))
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ModelName {
    type Err = BadModelName;

    /// By the rules of huggingface_hub (`utils/_validators.py`): at most 96 characters, neither `--` nor `..`, neither `-` nor `.`
    /// at an end.
    fn from_str(text: &str) -> Result<Self, BadModelName> {
        let part = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['-', '.'])
                && !part.ends_with(['-', '.'])
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let parts = text.split('/').count();
        let fits = text.split('/').all(part) && parts <= 2 && text.len() <= 96;
        if fits && !text.contains("--") && !text.contains("..") {
            return Ok(Self(text.to_owned()));
        }
        Err(BadModelName(text.chars().take(100).collect()))
    }
}

/// Which revision of which model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The model.
    pub name: ModelName,
    /// A branch, a tag or a commit.
    pub revision: String,
}

impl Want {
    /// What is meant if no revision is named.
    pub const MAIN: &str = "main";

    /// Whether a text may be a revision: what may be a path below `refs`.
    pub fn is_revision(text: &str) -> bool {
        let part = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.starts_with('-');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+@=".contains(c);
        text.len() <= 200 && text.split('/').all(part) && text.chars().all(plain)
    }
}

/// Which files of a model are wanted: patterns in which `*` stands for anything, `/` too, and `?` for one character.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// One of them must fit, unless there are none.
    pub include: Vec<String>,
    /// None of them may fit.
    pub exclude: Vec<String>,
}

impl Choice {
    fn takes(&self, path: &str) -> bool {
        (self.include.is_empty() || any(&self.include, path)) && !any(&self.exclude, path)
    }
}

fn any(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| {
        let parts = pattern.chars().map(|c| match c {
            '*' => ".*".to_owned(),
            '?' => ".".to_owned(),
            c => regex::escape(&c.to_string()),
        });
        // A directory stands for all below it, as for huggingface_hub.
        let below = if pattern.ends_with('/') { ".*" } else { "" };
        Regex::new(&format!("(?s)^{}{below}$", parts.collect::<String>()))
            .is_ok_and(|regex| regex.is_match(path))
    })
}

/// A file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it lies in the model.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its name among the blobs: the SHA-256 of what is in LFS, git's own SHA-1 of a blob of all else.
    pub hash: String,
}

/// What a revision of a model consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What was asked for. It is kept under that name, as servers look for it under the name that they are given.
    pub want: Want,
    /// The commit that it is.
    pub commit: String,
    /// Its files, as they were chosen.
    pub files: Vec<File>,
    /// Whether these are all that it has.
    pub is_all: bool,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: Option<u64>,
}

/// No file is larger: a petabyte, with which every shell can reckon.
const LARGEST: u64 = 1 << 50;

impl Manifest {
    /// Reads what the hub answers to `/api/models/NAME/revision/REVISION?blobs=true` (huggingface_hub, `hf_api.py`:
    /// `ModelInfo`, `RepoSibling`, `BlobLfsInfo`).
    ///
    /// # Errors
    /// [`StageError::Hub`] if it is none, [`StageError::Hostile`] for a path that leaves the model's directory and the like,
    /// [`StageError::Nothing`] if nothing is chosen.
    pub fn read(want: &Want, choice: &Choice, body: &[u8]) -> Result<Self, StageError> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| StageError::Hub {
            what: format!("something that is no list of files: {error}"),
        })?;
        let hostile = |problem: String| StageError::Hostile { problem };
        if !is_hash(&answer.sha, 40) {
            return Err(hostile(format!("{:?} is no commit", short(&answer.sha))));
        }
        let mut files = Vec::new();
        let mut paths = BTreeSet::new();
        for sibling in answer.siblings {
            check_path(&sibling.rfilename).map_err(hostile)?;
            if !paths.insert(sibling.rfilename.clone()) {
                return Err(hostile(format!("{:?} is there twice", sibling.rfilename)));
            }
            let unknown = || hostile(format!("it tells no size or checksum of {:?}", sibling.rfilename));
            let (hash, length, size) = match sibling.lfs {
                Some(lfs) => (lfs.sha256, 64, lfs.size.or(sibling.size)),
                None => (sibling.blob.clone().ok_or_else(unknown)?, 40, sibling.size),
            };
            if !is_hash(&hash, length) {
                return Err(hostile(format!("{:?} is no checksum", short(&hash))));
            }
            let bytes = size.ok_or_else(unknown)?;
            if bytes > LARGEST {
                return Err(hostile(format!("{:?} is to have {bytes} bytes", sibling.rfilename)));
            }
            files.push(File { path: sibling.rfilename, bytes, hash });
        }
        check_directories(&paths).map_err(hostile)?;
        let all = files.len();
        files.retain(|file| choice.takes(&file.path));
        if files.is_empty() {
            return Err(StageError::Nothing { name: want.name.to_string() });
        }
        Ok(Self { want: want.clone(), commit: answer.sha, is_all: files.len() == all, files })
    }

    /// The bytes of its files, each counted once.
    pub fn bytes(&self) -> u64 {
        let mut seen = BTreeSet::new();
        total(self.files.iter().filter(|file| seen.insert(&file.hash)).map(|file| file.bytes))
    }

    /// The list that the script on the cluster reads: a line for each file, with the checksum, its size, its path in a URL, what
    /// leads from its link to the model's directory, and its path.
    pub(crate) fn list(&self) -> String {
        let line = |file: &File| {
            let up = "../".repeat(file.path.split('/').count() + 1);
            format!("{}\t{}\t{}\t{up}\t{}\n", file.hash, file.bytes, encoded(&file.path, true), file.path)
        };
        self.files.iter().map(line).collect()
    }
}

/// Percent-encodes what is not plain in a path of a URL; slashes stay where `slashes` says so.
pub(crate) fn encoded(text: &str, slashes: bool) -> String {
    let mut url = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            b'/' if slashes => url.push('/'),
            _ => url.extend(['%', hex(byte >> 4), hex(byte & 15)]),
        }
    }
    url
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase()
}

fn is_hash(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A path that stays below where it is put, whatever reads it.
fn check_path(path: &str) -> Result<(), String> {
    let bad = |problem: &str| Err(format!("the name of a file, {:?}, {problem}", short(path)));
    if path.chars().any(char::is_control) {
        return bad("holds a control character");
    }
    if path.is_empty() || path.len() > 1000 || path.split('/').count() > 12 {
        return bad("is empty, or too long");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..") || part.len() > 255) {
        return bad("leads out of the model");
    }
    if path.contains('\\') {
        return bad("holds a backslash");
    }
    Ok(())
}

/// No file may lie where another needs a directory.
fn check_directories(paths: &BTreeSet<String>) -> Result<(), String> {
    for path in paths {
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        if let Some(parent) = parents.into_iter().find(|parent| paths.contains(*parent)) {
            return Err(format!("{parent:?} is a file and a directory"));
        }
    }
    Ok(())
}
