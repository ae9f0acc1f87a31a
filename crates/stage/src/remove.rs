//! Removal of what is staged.

use towline_core::ports::ShellOutput;
use towline_core::runner::{Directory, quote};
use towline_core::spec::SpecError;

use crate::errand::{Errand, unless_running};
use crate::error::StageError;
use crate::frame::{self, text};
use crate::staged::{Image, Removal};

/// The remote command that removes parts of a model, or all of it.
pub(crate) fn model(errand: &Errand, home: &Directory, removal: &Removal) -> Result<String, SpecError> {
    let mut script = unless_running(errand, home);
    script.push_str(&format_args!("enter {}\n", quote(&removal.hub)?).to_string());
    script.push_str(&format_args!("seen {}\n", quote(&removal.model)?).to_string());
    if removal.paths.is_empty() {
        script.push_str(&format_args!("gone {}\n", quote(&removal.model)?).to_string());
    }
    for path in &removal.paths {
        let path = quote(&format!("{}/{path}", removal.model))?;
        script.push_str(&format_args!("gone {path}\n").to_string());
    }
    script.push_str("end\n");
    Ok(script)
}

/// The remote command that removes an image and what was noted about it.
pub(crate) fn image(errand: &Errand, home: &Directory, image: &Image) -> Result<String, SpecError> {
    let mut script = unless_running(errand, home);
    let (directory, file) = image.path.rsplit_once('/').unwrap_or((".", &image.path));
    let lines = [
        format!("enter {}\n", quote(directory)?),
        format!("gone {}\n", quote(file)?),
        format!("gone {}\n", quote(&format!(".{file}.source"))?),
        "end\n".to_owned(),
    ];
    script.extend(lines);
    Ok(script)
}

/// Reads the answer of either.
pub(crate) fn read(output: &ShellOutput) -> Result<(), StageError> {
    let fields = frame::fields(output)?;
    let of = |index: usize| fields.get(index).map(|field| text(field)).unwrap_or_default();
    match of(0).as_str() {
        "" => Ok(()),
        "b" => Err(StageError::Busy),
        "q" => Err(StageError::Refused { words: "squeue gives no answer".to_owned() }),
        "u" => Err(StageError::Unseen { words: frame::words(output) }),
        "d" => Err(StageError::Directory { path: of(1), words: frame::words(output) }),
        _ => Err(StageError::Garbled { problem: "it says nothing of the removal".to_owned() }),
    }
}
