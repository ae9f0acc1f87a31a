//! Whether the files of a snapshot are a model that can be run, where nobody has noted that all of them are there.

use std::collections::BTreeMap;

/// How the files end in which weights are.
const ENDINGS: [&str; 12] =
    ["safetensors", "bin", "gguf", "ggml", "pt", "pth", "onnx", "ckpt", "h5", "msgpack", "npz", "nemo"];

/// Files of training with such an ending.
const OTHERS: [&str; 4] = ["training_args.bin", "optimizer.", "scheduler.", "rng_state"];

/// Whether there are weights among these paths, and of each file in numbered parts all parts (`NAME-00001-of-00004.ENDING`:
/// huggingface_hub, `serialization/_base.py`; llama.cpp, `llama-split.cpp`).
pub(crate) fn are_there<'a>(paths: impl Iterator<Item = &'a str>) -> bool {
    let mut any = false;
    let mut parts: BTreeMap<(&str, &str, usize), usize> = BTreeMap::new();
    for path in paths {
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some((stem, ending)) = path.rsplit_once('.') else { continue };
        if !ENDINGS.contains(&ending) || OTHERS.iter().any(|other| name.starts_with(other)) {
            continue;
        }
        any = true;
        if let Some((rest, count)) = part(stem) {
            *parts.entry((rest, ending, count)).or_default() += 1;
        }
    }
    any && parts.iter().all(|((.., count), there)| there == count)
}

/// What comes before the number of a part, and how many parts there are.
fn part(stem: &str) -> Option<(&str, usize)> {
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (rest, number) = rest.rsplit_once('-')?;
    number.parse::<usize>().ok()?;
    Some((rest, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_weights_and_all_parts_of_them() {
        let whole = |paths: &[&str]| are_there(paths.iter().copied());
        for good in [
            &["config.json", "model.safetensors"][..],
            &["sub/x-Q4_K_M.gguf"],
            &[
                "model-00002-of-00002.safetensors",
                "model-00001-of-00002.safetensors",
                "model.safetensors.index.json",
            ],
            &["a-00001-of-00001.gguf", "b-00001-of-00001.gguf"],
            &["state-of-the-art.bin"],
        ] {
            assert!(whole(good), "{good:?}");
        }
        for bad in [
            &[][..],
            &["config.json", "tokenizer.json", "model.safetensors.index.json"],
            &["training_args.bin", "optimizer.pt"],
            &["model-00001-of-00002.safetensors"],
            &[
                "model.safetensors",
                "x/model-00001-of-00002.safetensors",
                "y/model-00002-of-00002.safetensors",
            ],
            &["README"],
        ] {
            assert!(!whole(bad), "{bad:?}");
        }
    }
}
