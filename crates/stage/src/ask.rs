//! What the hub says of a model, asked from where the cluster is used.

use towline_core::ports::ShellOutput;

use crate::error::StageError;
use crate::frame::{self, PRELUDE, here_document, text};
use crate::hub::{Hub, Token};
use crate::model::{Choice, Manifest, Want, encoded};

/// Shell text that makes requests of a hub.
pub(crate) const HTTP: &str = include_str!("shell/http.sh");

/// The text of the remote command; `pause` is the first wait between two tries, in seconds.
pub(crate) fn script(hub: &Hub, token: Option<&Token>, want: &Want, pause: u32) -> String {
    let path = format!("/api/models/{}/revision/{}?blobs=true", want.name, encoded(&want.revision, false));
    // A token is a plain word, and so is a hub's URL; a here-document takes them as they are.
    let token = here_document(token.map_or("", Token::reveal));
    format!(
        "{PRELUDE}IFS= read -r hub {hub}IFS= read -r path {path}IFS= read -r token {token}pause={pause}\n{HTTP}{}",
        include_str!("shell/ask.sh"),
        hub = here_document(hub.as_str()),
        path = here_document(&path),
    )
}

/// Reads the answer of [`script`].
pub(crate) fn read(
    want: &Want,
    choice: &Choice,
    with_token: bool,
    output: &ShellOutput,
) -> Result<Manifest, StageError> {
    let fields = frame::fields(output)?;
    let of = |index: usize| fields.get(index).map(|field| text(field)).unwrap_or_default();
    match of(0).as_str() {
        "n" => Err(StageError::NoTool { tool: of(1) }),
        "d" => Err(StageError::Directory { path: of(1), words: frame::words(output) }),
        "a" => {
            let (code, after, words) = (of(1), of(4), of(5));
            match code.as_str() {
                "200" => Manifest::read(want, choice, fields.get(6).map(Vec::as_slice).unwrap_or_default()),
                "000" => Err(StageError::NoAnswer { words }),
                "429" if after.is_empty() => Err(StageError::Limited { words: "HTTP 429".to_owned() }),
                "429" => Err(StageError::Limited { words: format!("HTTP 429, again after {after} s") }),
                "long" => Err(StageError::Hub { what: "with a list that has no end".to_owned() }),
                "redirects" => Err(StageError::Hub { what: "with redirects without end".to_owned() }),
                code => Err(refusal(want, with_token, code, &of(2), &of(3))),
            }
        }
        _ => Err(StageError::Garbled { problem: "it says nothing of the model".to_owned() }),
    }
}

/// What a status other than 200 means (huggingface_hub, `utils/_http.py`: `hf_raise_for_status`; the hub answers 401 for a model
/// that it does not know to who has no token, since it may be a private one).
pub(crate) fn refusal(want: &Want, with_token: bool, code: &str, kind: &str, words: &str) -> StageError {
    let name = want.name.to_string();
    let said = if words.is_empty() { format!("HTTP {code}") } else { words.to_owned() };
    match (code, kind) {
        (_, "GatedRepo") => StageError::Gated { name, with_token, words: said },
        (_, "RevisionNotFound") => StageError::NoRevision { name, revision: want.revision.clone() },
        (_, "RepoNotFound") => StageError::NoModel { name },
        ("401", _) if with_token => StageError::BadToken { words: said },
        ("403", _) => StageError::Gated { name, with_token, words: said },
        ("401" | "404", _) => StageError::NoModel { name },
        _ if words.is_empty() => StageError::Hub { what: format!("HTTP {code}") },
        _ => StageError::Hub { what: format!("HTTP {code}: {words}") },
    }
}
