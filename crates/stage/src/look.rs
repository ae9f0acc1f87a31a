//! One look at all that is staged.

use towline_core::ports::ShellOutput;
use towline_core::time::Timestamp;

use crate::errand::COMMON;
use crate::error::StageError;
use crate::frame::{self, PRELUDE, text};
use crate::snapshots::{Entry, models};
use crate::stage::Places;
use crate::staged::{Image, ModelFile, Staged};

/// How many lines of what could not be read are told.
const WARNINGS: usize = 5;

/// Where servers look by themselves (huggingface_hub, `constants.py`: `HF_HUB_CACHE`, its old name, `HF_HOME`).
const OF_SERVERS: &str = r#"for found in "$HF_HUB_CACHE" "$HUGGINGFACE_HUB_CACHE" "${HF_HOME:+$HF_HOME/hub}" "${XDG_CACHE_HOME:-$HOME/.cache}/huggingface/hub"; do
  case $found in /*) hub "$found" ;; esac
done
"#;

/// The text of the remote command.
pub(crate) fn script(places: &Places) -> String {
    let mut text = format!("{PRELUDE}{COMMON}{}", include_str!("shell/look.sh"));
    for root in places.roots() {
        let word = root.word();
        text.extend([
            format!("root={word}\n"),
            "hub \"$root/models\"\nhub \"$root/hub\"\nhub \"$root\"\n".to_owned(),
            "files \"$root/models\"\nimages \"$root/images\"\nimages \"$root\"\n".to_owned(),
        ]);
    }
    text.push_str(OF_SERVERS);
    text.extend(["tidy ", places.home.word(), "\nfinish\n"]);
    text
}

/// Reads the answer of [`script`].
pub(crate) fn read(output: &ShellOutput) -> Result<Staged, StageError> {
    let fields = frame::fields(output)?;
    let mut fields = fields.iter().map(Vec::as_slice);
    let mut staged = Staged::default();
    let mut hub = (String::new(), Vec::new(), Vec::new());
    let mut files_in = String::new();
    while let Some(tag) = fields.next() {
        let mut next = || fields.next().ok_or_else(short);
        match tag {
            b"n" => return Err(StageError::NoTool { tool: text(next()?) }),
            b"w" => staged.warnings.push(format!("{} cannot be read", text(next()?))),
            b"h" => {
                let before = std::mem::replace(&mut hub, (text(next()?), Vec::new(), Vec::new()));
                staged.models.extend(models(&before.0, &before.1, &before.2, &mut staged.warnings));
            }
            b"e" => hub.1.push(Entry {
                kind: first(next()?),
                end: first(next()?),
                bytes: number(next()?)?,
                modified: seconds(next()?)?,
                path: next()?.to_vec(),
                link: next()?.to_vec(),
            }),
            b"r" => hub.2.push((next()?.to_vec(), text(next()?))),
            b"g" => files_in = text(next()?),
            b"f" => {
                let (bytes, modified) = (number(next()?)?, seconds(next()?)?);
                staged.files.push(ModelFile {
                    bytes,
                    modified,
                    path: format!("{files_in}/{}", text(next()?)),
                });
            }
            b"s" => staged.images.push(image(next()?, next()?, next()?)?),
            _ => return Err(garbled("a record of an unknown kind")),
        }
    }
    staged.models.extend(models(&hub.0, &hub.1, &hub.2, &mut staged.warnings));
    staged.models.sort_by_key(|model| std::cmp::Reverse(model.revisions.first().map(|it| it.modified)));
    staged.files.sort_by_key(|file| std::cmp::Reverse(file.modified));
    staged.images.sort_by_key(|image| std::cmp::Reverse(image.modified));
    let said = frame::lines(output);
    staged.warnings.extend(said.iter().take(WARNINGS).cloned());
    if said.len() > WARNINGS {
        staged.warnings.push(format!("{} more lines of this kind", said.len() - WARNINGS));
    }
    Ok(staged)
}

fn image(about: &[u8], path: &[u8], source: &[u8]) -> Result<Image, StageError> {
    let about = text(about);
    let (bytes, modified) = about.split_once(' ').ok_or_else(short)?;
    let (path, source) = (text(path), text(source));
    let file = path.rsplit('/').next().unwrap_or_default();
    Ok(Image {
        name: file.strip_suffix(".sif").unwrap_or(file).to_owned(),
        bytes: number(bytes.as_bytes())?,
        modified: seconds(modified.as_bytes())?,
        source: (!source.is_empty()).then_some(source),
        path,
    })
}

fn first(field: &[u8]) -> u8 {
    field.first().copied().unwrap_or(b'?')
}

fn number(field: &[u8]) -> Result<u64, StageError> {
    text(field).parse().map_err(|_| garbled("a size that is no number"))
}

/// `find` tells fractions of seconds; a time before 1970 is as good as that.
fn seconds(field: &[u8]) -> Result<Timestamp, StageError> {
    let text = text(field);
    let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
    let seconds: i64 = whole.parse().map_err(|_| garbled("a time that is no number"))?;
    Ok(Timestamp::from_secs(seconds.max(0)))
}

fn short() -> StageError {
    garbled("a record is cut off")
}

fn garbled(problem: &str) -> StageError {
    StageError::Garbled { problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A field as they come: a mark, a number, a path, or anything.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::sample::select(vec![
                "n",
                "w",
                "h",
                "e",
                "r",
                "g",
                "f",
                "s",
                "d",
                "l",
                "N",
                "3",
                "18446744073709551615",
                "-9.5",
                "99999999999999999999",
                "9223372036854775807.1",
                "7 8",
                "models--a--b/blobs/x",
                "models--a--b/snapshots/c",
                "models--a--b/snapshots/c/x",
                "models--a--b/refs/main",
                "../../blobs/x"
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            "[^\u{0}]{0,4}".prop_map(String::into_bytes),
            prop::collection::vec(1_u8.., 0..4),
        ]
    }

    fn answer(fields: &[Vec<u8>]) -> ShellOutput {
        let body = fields.iter().flat_map(|field| field.iter().chain([&0])).copied();
        let stdout = b"\0\x1estage\0".iter().copied().chain(body).chain(*b"\x1eend\0").collect();
        ShellOutput { stdout, stderr: Vec::new(), code: 0 }
    }

    proptest! {
        #[test]
        fn whatever_is_told_makes_nothing_panic(fields in prop::collection::vec(field(), 0..40)) {
            drop(read(&answer(&fields)));
        }

        #[test]
        fn sizes_of_any_kind_are_added_up(sizes in prop::collection::vec(any::<u64>(), 1..5), at: i64) {
            let mut fields = vec![b"h".to_vec(), b"/hub".to_vec()];
            for (number, size) in sizes.iter().enumerate() {
                let path = format!("models--a--b/blobs/{number}");
                let entry = ["e", "f", "f", &size.to_string(), &at.to_string(), &path, ""];
                fields.extend(entry.map(|text| text.as_bytes().to_vec()));
            }
            let staged = read(&answer(&fields)).unwrap();
            let sum: u128 = sizes.iter().map(|size| u128::from(*size)).sum();
            prop_assert_eq!(staged.models[0].bytes, u64::try_from(sum).unwrap_or(u64::MAX));
            let model = &staged.models[0];
            prop_assert_eq!(model.removal().bytes, model.bytes);
        }
    }
}
