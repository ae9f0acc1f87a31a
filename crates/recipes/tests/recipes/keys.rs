//! The key that a service asks its clients for.

use towline_recipes::{Containing, Key, Provider, SecretValue};

use crate::support::{command, read, recipe, request, resolve};

#[test]
fn a_service_has_a_key_where_it_can_check_one() {
    let by_variable = recipe("[secret]\nenv = 'KEY'");
    let random = || Key::IfTaken(SecretValue::new("random").unwrap());
    let key = |recipe: &towline_recipes::Recipe, key: Key, env: Option<&str>| {
        let mut request = request();
        request.key = key;
        request.around.env.extend(env.map(|value| ("KEY".to_owned(), value.to_owned())));
        resolve(recipe, &request).map(|spec| spec.key().map(str::to_owned))
    };
    assert_eq!(key(&by_variable, random(), None).unwrap().as_deref(), Some("random"));
    assert_eq!(key(&by_variable, crate::support::key("own"), Some("set")).unwrap().as_deref(), Some("own"));
    assert_eq!(key(&by_variable, random(), Some("set")).unwrap().as_deref(), Some("set"));
    assert_eq!(key(&by_variable, Key::None, Some("set")).unwrap().as_deref(), Some("set"));
    assert_eq!(key(&by_variable, Key::None, None).unwrap(), None);
    assert_eq!(key(&by_variable, random(), Some("")).unwrap(), None, "an empty one is none");
    assert!(key(&by_variable, random(), Some("a\nb")).is_err());
    assert_eq!(key(&recipe(""), random(), None).unwrap(), None);
    assert!(key(&recipe(""), crate::support::key("own"), None).is_err());
    for bad in ["", "a b", "a,b", "a\n", "ä"] {
        assert!(!SecretValue::new(bad).unwrap_err().contains("a b"), "{bad}");
    }
}

#[test]
fn a_key_in_a_file_is_in_no_word_but_its_path() {
    let recipe = read(
        "summary = 's'\ncommand = ['serve', '{port}', ['--key-file', '{secret-file}']]\n[secret]\nfile = true\n\
         [container]\nimages = { apptainer = 'x.sif' }",
    );
    let mut request = request();
    assert_eq!(command(&recipe, &request), "serve {port}");
    request.key = crate::support::key("hush");
    let spec = resolve(&recipe, &request).unwrap();
    assert_eq!(spec.command, ["serve", "{port}", "--key-file", "{secret-file}"]);
    assert!(spec.secret.as_ref().is_some_and(|secret| secret.in_file) && spec.key() == Some("hush"));
    request.container = Containing::In(Provider::Apptainer);
    let mount = "type=bind,\"source={secret-file}\",\"destination={secret-file}\",ro";
    assert!(resolve(&recipe, &request).unwrap().command.contains(&mount.to_owned()));
}
