//! What becomes of a recipe and a request.

use std::time::Duration;

use towline_core::ready::{Answer, Ready};
use towline_core::spec::{DEFAULT_GRACE, DEFAULT_HEALTH};
use towline_recipes::{Containing, Provider, ResolveError};

use crate::support::{command, key, read, recipe, request, resolve, with};

const PARAMETERS: &str = "
[parameters.size]
type = 'integer'
min = 1
help = 'h'
[parameters.fast]
type = 'boolean'
help = 'h'
[parameters.stop]
type = 'list'
help = 'h'
[parameters.mode]
type = 'choice'
choices = ['a', 'b']
default = 'a'
help = 'h'
";

fn with_parameters() -> towline_recipes::Recipe {
    let command = "command = ['serve', '{port}', '--mode={mode}', ['--size', '{size}'], ['--stop={stop}'], \
                   { when = 'fast', words = ['--fast', '{mode}'] }, '{extra}']";
    read(&format!("summary = 's'\n{command}\n{PARAMETERS}"))
}

#[test]
fn words_are_there_if_their_parameters_are() {
    let recipe = with_parameters();
    assert_eq!(command(&recipe, &request()), "serve {port} --mode=a");
    assert_eq!(command(&recipe, &with(&[("size", "7"), ("mode", "b")])), "serve {port} --mode=b --size 7");
    assert_eq!(command(&recipe, &with(&[("fast", "true")])), "serve {port} --mode=a --fast a");
    assert_eq!(command(&recipe, &with(&[("fast", "false")])), "serve {port} --mode=a");
    let stops = with(&[("stop", "x"), ("stop", "y")]);
    assert_eq!(command(&recipe, &stops), "serve {port} --mode=a --stop=x --stop=y");
    let mut request = request();
    request.extra = vec!["--more".into(), "a b".into()];
    assert_eq!(resolve(&recipe, &request).unwrap().command[3..], ["--more", "a b"]);
}

#[test]
fn a_word_stays_a_word_whatever_is_in_it() {
    let recipe = read(
        "summary = 's'\ncommand = ['serve', '{port}', ['--x', '{x}']]\nsetup = ['echo \"$X\"']\n\
         [env]\nX = '{x}'\n[parameters.x]\ntype = 'string'\nhelp = 'h'",
    );
    for text in ["a b", "$(id)", "'; rm -rf /", "\"", "`id`", "a\nb", "{size}", "\\", "--flag", ""] {
        let spec = resolve(&recipe, &with(&[("x", text)])).unwrap();
        assert_eq!(spec.command, ["serve", "{port}", "--x", text]);
        assert_eq!(spec.setup, ["echo \"$X\""], "no value is written into a line of shell");
        assert_eq!(spec.env["X"], text);
    }
    let unset = resolve(&recipe, &request()).unwrap();
    assert!(unset.env.is_empty() && unset.command.len() == 2);
}

#[test]
fn what_is_wrong_with_a_request_is_told() {
    let recipe = with_parameters();
    let error = |values: &[(&str, &str)]| resolve(&recipe, &with(values)).unwrap_err();
    assert_eq!(error(&[("size", "0")]).to_string(), "bad --size \"0\": it is below 1");
    assert_eq!(error(&[("mode", "c")]).to_string(), "bad --mode \"c\": it is none of a, b");
    assert_eq!(
        error(&[("size", "1"), ("size", "2")]).to_string(),
        "bad --size \"1 2\": it is given more than once"
    );
    let ResolveError::Unknown { near, .. } = error(&[("siez", "1")]) else { panic!("it is unknown") };
    assert_eq!(near.as_deref(), Some("size"));
    let mut model = request();
    model.model = Some("m".into());
    assert_eq!(resolve(&recipe, &model).unwrap_err().to_string(), "recipe web takes no model (m)");
    let mut secret = request();
    secret.key = key("hush");
    let told = resolve(&recipe, &secret).unwrap_err().to_string();
    assert!(told.contains("takes no key") && !format!("{secret:?}").contains("hush"), "{told}");
    let plain = self::recipe("");
    let mut extra = request();
    extra.extra = vec!["x".into()];
    assert!(resolve(&plain, &extra).unwrap_err().to_string().contains("no arguments after --"));
    let mut nul = request();
    nul.extra = vec!["\0".into()];
    assert!(matches!(resolve(&recipe, &nul), Err(ResolveError::Spec(_))));
}

#[test]
fn what_is_said_goes_before_what_the_recipe_says() {
    let recipe = recipe(
        "setup = ['b']\nenv = { A = '1', B = '2' }\nhealth = { path = '/up', grace = '2m' }\n\
         job = { time = 01:30:00, mem = 500, cpus = 4, gpus = 2, sbatch_args = ['--nice=1'] }",
    );
    let spec = resolve(&recipe, &request()).unwrap();
    assert_eq!((spec.health.as_str(), spec.grace), ("/up", Duration::from_secs(120)));
    let job = &spec.resources;
    assert_eq!((job.time.as_deref(), job.mem.as_deref(), job.cpus), (Some("01:30:00"), Some("500"), Some(4)));

    let mut request = request();
    request.around.setup = vec!["a".into()];
    request.around.env.insert("A".into(), "mine".into());
    request.around.health = Some("/mine".into());
    request.around.grace = Some(Duration::from_secs(9));
    request.around.resources.cpus = Some(8);
    request.around.resources.gres = Some("gpu:1".into());
    request.around.resources.submit_args = vec!["--exclusive".into()];
    let spec = resolve(&recipe, &request).unwrap();
    assert_eq!(spec.setup, ["a", "b"]);
    assert_eq!((spec.env["A"].as_str(), spec.env["B"].as_str()), ("mine", "2"));
    assert_eq!((spec.health.as_str(), spec.grace), ("/mine", Duration::from_secs(9)));
    let job = &spec.resources;
    assert_eq!((job.cpus, job.mem.as_deref()), (Some(8), Some("500")));
    assert_eq!((job.gpus.as_deref(), job.gres.as_deref()), (None, Some("gpu:1")), "one notation for GPUs");
    assert_eq!(job.submit_args, ["--nice=1", "--exclusive"]);

    request.job_options = false;
    let spec = resolve(&recipe, &request).unwrap();
    assert_eq!((spec.resources.cpus, spec.resources.mem), (Some(8), None));
    let bare = resolve(&self::recipe(""), &self::request()).unwrap();
    assert_eq!((bare.health.as_str(), bare.grace), (DEFAULT_HEALTH, DEFAULT_GRACE));
}

#[test]
fn gpus_are_counted_and_can_be_had_none_of() {
    let recipe = read(
        "summary = 's'\ncommand = ['serve', '{port}', ['--tp', '{gpus}'], ['-t', '{cpus}']]\njob = { gpus = 2 }",
    );
    let with_gpus = |gpus: &str| {
        let mut request = request();
        request.around.resources.gpus = Some(gpus.to_owned());
        request.around.resources.cpus = Some(3);
        resolve(&recipe, &request).unwrap()
    };
    assert_eq!(command(&recipe, &request()), "serve {port} --tp 2");
    assert_eq!(with_gpus("a100:4").command[2..], ["--tp", "4", "-t", "3"]);
    let none = with_gpus("0");
    assert_eq!((none.command.len(), none.resources.gpus), (4, None));
}

#[test]
fn a_model_goes_where_its_form_belongs() {
    let recipe = read(
        "summary = 's'\ncommand = ['serve', '{port}', ['-m', '{model-path}'], ['-hf', '{model-name}'], \
         ['--rev', '{revision}']]\n[model]",
    );
    let ask = |model: Option<&str>, revision: Option<&str>| {
        let mut request = request();
        (request.model, request.revision) = (model.map(Into::into), revision.map(Into::into));
        resolve(&recipe, &request).map(|spec| spec.command[2..].join(" ")).map_err(|error| error.to_string())
    };
    assert_eq!(ask(Some("Qwen/Qwen3-8B"), Some("main")).unwrap(), "-hf Qwen/Qwen3-8B --rev main");
    assert_eq!(ask(Some("/models/a b"), None).unwrap(), "-m /models/a b");
    assert_eq!(ask(Some("./m.gguf"), None).unwrap(), "-m ./m.gguf");
    for (model, revision, words) in [
        (None, None, "needs a model"),
        (Some("--trust-remote-code"), None, "bad model"),
        (Some("a b"), None, "a path begins with"),
        (Some("~/m"), None, "write the whole path"),
        (Some("/m"), Some("main"), "a path has no revisions"),
        (Some("m"), Some("--x"), "bad --revision"),
    ] {
        let told = ask(model, revision).unwrap_err();
        assert!(told.contains(words), "{model:?}: {told}");
    }
    let by_name = read("summary = 's'\ncommand = ['serve', '{port}', '{model-name}']\n[model]");
    let mut request = request();
    request.model = Some("/m".into());
    assert!(resolve(&by_name, &request).unwrap_err().to_string().contains("takes the name of a model"));
    request.model = Some("m".into());
    request.revision = Some("main".into());
    assert!(resolve(&by_name, &request).unwrap_err().to_string().contains("takes no --revision"));
}

const VARIANTS: &str = "
summary = 's'
env = { A = '1', B = '2' }
job = { cpus = 1, mem = '1G' }
[parameters.engine]
type = 'variant'
default = 'fast'
help = 'h'
[parameters.speed]
type = 'integer'
help = 'h'
only = ['fast']
[parameters.depth]
type = 'integer'
help = 'h'
required = true
only = ['slow']
[variants.fast]
command = ['fast', '{port}', ['--speed', '{speed}']]
env = { B = '3' }
job = { cpus = 8 }
[variants.slow]
command = ['slow', '--depth', '{depth}']
port = 'environment'
";

#[test]
fn a_variant_is_what_it_says_over_what_its_recipe_says() {
    let recipe = read(VARIANTS);
    let spec = resolve(&recipe, &with(&[("speed", "3")])).unwrap();
    assert_eq!(spec.command, ["fast", "{port}", "--speed", "3"]);
    assert_eq!((spec.env["A"].as_str(), spec.env["B"].as_str()), ("1", "3"));
    assert_eq!((spec.resources.cpus, spec.resources.mem.as_deref()), (Some(8), Some("1G")));
    let slow = with(&[("engine", "slow"), ("depth", "2")]);
    assert_eq!(command(&recipe, &slow), "slow --depth 2");
    let told = |values: &[(&str, &str)]| resolve(&recipe, &with(values)).unwrap_err().to_string();
    assert_eq!(told(&[("engine", "slow")]), "recipe web needs --depth");
    assert_eq!(told(&[("depth", "2")]), "recipe web with --engine fast takes no --depth");
    assert!(told(&[("engine", "quick")]).contains("none of fast, slow"));
}

#[test]
fn a_container_wraps_the_command_in_words() {
    let recipe = read(
        "summary = 's'\ncommand = ['serve', '{port}', '{model}']\nsetup = ['module load serve']\n\
         job = { gpus = 1 }\n[model]\n[secret]\nenv = 'KEY'\n[container]\n\
         images = { apptainer = 'docker://x/y:1' }\nsetup = ['module load apptainer']\n\
         mounts = [{ source = '{model-path}', read_only = true }, { source = '/data', target = '/d' }]",
    );
    let mut request = request();
    request.model = Some("/models/a, \"b\"".into());
    request.key = key("hush");
    let bare = resolve(&recipe, &request).unwrap();
    assert_eq!((bare.command.len(), bare.setup.as_slice()), (3, ["module load serve".to_owned()].as_slice()));

    request.container = Containing::In(Provider::Apptainer);
    let spec = resolve(&recipe, &request).unwrap();
    let mount = "type=bind,\"source=/models/a, \"\"b\"\"\",\"destination=/models/a, \"\"b\"\"\",ro";
    assert_eq!(spec.command[..3], ["apptainer", "exec", "--nv"]);
    assert_eq!(spec.command[3..7], ["--mount", mount, "--mount", "type=bind,source=/data,destination=/d"]);
    assert_eq!(spec.command[7..], ["docker://x/y:1", "serve", "{port}", "/models/a, \"b\""]);
    assert_eq!(spec.setup, ["module load apptainer"]);
    assert!(spec.env["KEY"] == "hush" && !spec.command.join(" ").contains("hush"));

    request.image = Some("/images/my image.sif".into());
    assert!(resolve(&recipe, &request).unwrap().command.contains(&"/images/my image.sif".to_owned()));
    request.image = Some("--writable".into());
    assert!(resolve(&recipe, &request).unwrap_err().to_string().contains("bad --image"));
    request.image = None;
    request.model = Some("./m".into());
    assert!(resolve(&recipe, &request).unwrap_err().to_string().contains("has to begin with /"));
    request.container = Containing::Bare;
    request.image = Some("x.sif".into());
    assert!(resolve(&recipe, &request).unwrap_err().to_string().contains("--image without a container"));
}

#[test]
fn a_container_may_be_the_default_and_need_an_image() {
    let recipe = recipe("[container]\ndefault = 'apptainer'");
    assert!(resolve(&recipe, &request()).unwrap_err().to_string().contains("needs --image"));
    let mut request = request();
    request.image = Some("x.sif".into());
    assert_eq!(command(&recipe, &request), "apptainer exec x.sif serve --port {port}");
    request.container = Containing::In(Provider::Apptainer);
    let plain = self::recipe("");
    assert_eq!(command(&plain, &request), "apptainer exec x.sif serve --port {port}");
    request.image = None;
    let told = resolve(&plain, &request).unwrap_err().to_string();
    assert!(told.contains("takes no container without --image"), "{told}");
}

#[test]
fn what_counts_as_ready_is_the_servers_own() {
    let text = |variant: &str| {
        format!(
            "summary = 's'\n[health]\npath = '/up'\nstatus = ['2xx', 429]\nheader = {{ name = 'X-Up' }}\n\
             [parameters.kind]\ntype = 'variant'\ndefault = 'a'\nhelp = 'h'\n\
             [variants.a]\ncommand = ['a', '{{port}}']\n{variant}"
        )
    };
    let shared = resolve(&read(&text("")), &request()).unwrap().ready;
    let judge = |ready: &Ready, status, body: &str| {
        let headers = [("x-up".to_owned(), String::new())];
        ready.judge(Answer { status, headers: &headers, body: body.as_bytes() })
    };
    assert!(
        judge(&shared, 204, "").is_ok()
            && judge(&shared, 429, "").is_ok()
            && judge(&shared, 503, "").is_err()
    );
    assert_eq!(shared.header.as_ref().map(|header| header.name.as_str()), Some("X-Up"));
    let json = "health = { status = [200], json = { pointer = '/models', equals = 2 } }";
    let own = resolve(&read(&text(json)), &request()).unwrap().ready;
    assert!(judge(&own, 200, "{\"models\": 2}").is_ok() && judge(&own, 204, "{\"models\": 2}").is_err());
    assert!(judge(&own, 200, "{\"models\": 1}").is_err() && own.header.is_some());
    let mut another = request();
    another.around.health = Some("/other".into());
    assert!(
        resolve(&read(&text("")), &another).unwrap().ready.is_any_success(),
        "another path is another answer"
    );
}

/// A recipe whose parameter reaches its server in a variable, with a container.
fn with_a_home() -> towline_recipes::Recipe {
    read(
        "summary = 's'\ncommand = ['serve', '{port}', ['{model}']]\nenv = { HF_HOME = '{home}', B = '2' }\n\
         job = { gpus = 1 }\n[model]\nrequired = false\n[parameters.home]\ntype = 'path'\ndefault = '/default'\nhelp = 'h'\n\
         [container]\nimages = { apptainer = 'x.sif' }\nmounts = [{ source = '{model-path}', read_only = true }]",
    )
}

#[test]
fn a_typed_option_goes_before_a_profiles_variable_and_a_typed_variable_before_both() {
    let mut request = with(&[("home", "/typed")]);
    request.around.env = [("HF_HOME", "/profile"), ("B", "3")].map(|(k, v)| (k.into(), v.into())).into();
    let spec = resolve(&with_a_home(), &request).unwrap();
    assert_eq!((spec.env["HF_HOME"].as_str(), spec.env["B"].as_str()), ("/typed", "3"));
    request.values.clear();
    assert_eq!(
        resolve(&with_a_home(), &request).unwrap().env["HF_HOME"],
        "/profile",
        "a default is not typed"
    );
    request.values.insert("home".into(), vec!["/typed".into()]);
    request.said_env.insert("HF_HOME".into());
    assert_eq!(resolve(&with_a_home(), &request).unwrap().env["HF_HOME"], "/profile");
}

#[test]
fn a_model_is_mounted_with_what_its_links_lead_to() {
    let mounted = |model: &str| {
        let mut request = request();
        request.model = Some(model.to_owned());
        request.container = Containing::In(Provider::Apptainer);
        let command = resolve(&with_a_home(), &request).unwrap().command;
        assert_eq!(command.last().map(String::as_str), Some(model), "the server gets the path itself");
        command[4].clone()
    };
    let bound = |path: &str| format!("type=bind,source={path},destination={path},ro");
    assert_eq!(mounted("/hub/models--a--b/snapshots/1f"), bound("/hub/models--a--b"));
    assert_eq!(mounted("/hub/models--a--b/snapshots/1f/"), bound("/hub/models--a--b"));
    assert_eq!(mounted("/hub/models--a--b/snapshots/1f/m.gguf"), bound("/hub/models--a--b"));
    assert_eq!(mounted("/models/m.gguf"), bound("/models"));
    assert_eq!(mounted("/m.gguf"), bound("/m.gguf"), "never the whole machine");
    assert_eq!(mounted("/models/chat"), bound("/models/chat"));
}

#[test]
fn other_gres_leave_the_gpus_of_the_recipe() {
    let mut request = request();
    request.around.resources.gres = Some("lscratch:100".into());
    let job = resolve(&with_a_home(), &request).unwrap().resources;
    assert_eq!((job.gpus.as_deref(), job.gres.as_deref()), (Some("1"), Some("lscratch:100")));
}

#[test]
fn a_container_shows_gpus_where_no_scheduler_gives_them() {
    let mut request = request();
    request.container = Containing::In(Provider::Apptainer);
    request.job_options = false;
    let spec = resolve(&with_a_home(), &request).unwrap();
    assert_eq!((spec.command[2].as_str(), spec.resources.gpus), ("--nv", None));
    let without = recipe("[container]\nimages = { apptainer = 'x.sif' }");
    assert_eq!(resolve(&without, &request).unwrap().command[2], "x.sif");
}

#[test]
fn a_variable_that_the_runner_sets_is_refused() {
    let mut request = request();
    request.around.env.insert("PORT".into(), "1".into());
    assert!(resolve(&recipe(""), &request).unwrap_err().to_string().contains("PORT"));
}

#[test]
fn arguments_after_the_dashes_are_a_condition() {
    let recipe =
        read("summary = 's'\ncommand = ['serve', '{port}', { when = 'extra', words = ['--'] }, '{extra}']");
    let mut request = request();
    assert_eq!(command(&recipe, &request), "serve {port}");
    request.extra = vec!["a".into()];
    assert_eq!(command(&recipe, &request), "serve {port} -- a");
}
