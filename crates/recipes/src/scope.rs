//! The values that are set when a template is filled in.

use std::collections::BTreeMap;

use crate::parameter::Value;

/// The placeholder of the file with the key.
pub(crate) const SECRET: &str = "secret-file";

/// The placeholders that are no parameters of a recipe: what each stands for.
pub(crate) const BUILT_IN_NAMES: [(&str, &str); 10] = [
    ("port", "the port to listen on; filled in where the service runs"),
    ("host", "the address to listen on; filled in where the service runs"),
    ("model", "the model as it was given: a name or a path"),
    ("model-name", "the model, if a name was given"),
    ("model-path", "the model, if a path was given"),
    ("revision", "the revision of the model, if one was given"),
    (SECRET, "the file with the key that clients must send, if there is one"),
    ("gpus", "how many GPUs are asked of the scheduler, if any"),
    ("cpus", "how many CPUs a task are asked of the scheduler, if that was said"),
    ("extra", "the arguments after `--`"),
];

/// The values of all placeholders that are set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    values: BTreeMap<String, Value>,
}

impl Scope {
    /// Sets one. A list without items counts as unset.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        if !matches!(&value, Value::List(items) if items.is_empty()) {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// Makes one unset.
    pub(crate) fn unset(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// The value of one that is set.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Whether what is there only `when` that one is set is there; of a truth value, when it is true.
    pub(crate) fn holds(&self, when: &str) -> bool {
        !matches!(self.get(when), None | Some(Value::Truth(false)))
    }
}
