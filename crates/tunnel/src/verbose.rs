//! Reads what `ssh -v` says of a login that is refused.

/// What a refused login tried, and what the host would accept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denial {
    /// The keys that the host was shown and did not take, as `ssh` names them: file and kind.
    pub offered: Vec<String>,
    /// Keys that the host would take, but `ssh` could not use: it lacks their passphrase, or their private half.
    pub locked: Vec<String>,
    /// Private keys that are configured and not there.
    pub missing: Vec<String>,
    /// Private keys that `ssh` passes over since other users could read them.
    pub exposed: Vec<String>,
    /// How many keys an agent has; `None` if no agent answered.
    pub agent: Option<usize>,
    /// The methods that the host would have gone on with, such as `publickey` or `keyboard-interactive`.
    pub accepts: Vec<String>,
    /// Whether the host took a key and wants something else as well.
    pub is_partial: bool,
}

impl Denial {
    /// Whether the host wants what only a person can type: a password, or a second factor.
    pub fn wants_a_person(&self) -> bool {
        let is_typed = |method: &String| ["keyboard-interactive", "password"].contains(&method.as_str());
        let is_key = |method: &String| method == "publickey";
        self.accepts.iter().any(is_typed) && (self.is_partial || !self.accepts.iter().any(is_key))
    }
}

/// Reads the debug lines of one login. Source: the messages in `sshconnect2.c` and `authfile.c` of OpenSSH 8.0 to 9.2.
pub(crate) fn read_denial(said: &str) -> Denial {
    let mut denial = Denial::default();
    for line in said.lines().map(str::trim) {
        let line = line.strip_prefix("debug1: ").unwrap_or(line);
        if let Some(key) = line.strip_prefix("Offering public key: ") {
            denial.offered.push(name_of(key));
        } else if let Some(key) = line.strip_prefix("Server accepts key: ") {
            let name = name_of(key);
            denial.offered.retain(|offered| *offered != name);
            denial.locked.push(name);
        } else if let Some(rest) = line.strip_prefix("no such identity: ") {
            denial.missing.push(rest.rsplit_once(": ").map_or(rest, |(path, _)| path).to_owned());
        } else if line.starts_with("Permissions ") && line.ends_with("too open.") {
            denial.exposed.extend(line.split('\'').nth(1).map(str::to_owned));
        } else if line.ends_with("agent contains no identities") {
            denial.agent = Some(0);
        } else if let Some((_, rest)) = line.split_once("agent returned ") {
            denial.agent = rest.split(' ').next().and_then(|count| count.parse().ok());
        } else if line.contains("with partial success") {
            denial.is_partial = true;
            // What was accepted is not what is wrong.
            denial.locked.clear();
        } else if let Some(methods) = line.strip_prefix("Authentications that can continue: ") {
            denial.accepts = methods.split(',').map(|method| method.trim().to_owned()).collect();
        }
    }
    denial.missing.dedup();
    denial
}

/// `/home/a/.ssh/id ED25519 SHA256:... agent` without its fingerprint, which is of no use to most.
fn name_of(key: &str) -> String {
    let name = key.split(" SHA256:").next().unwrap_or(key);
    name.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Said by OpenSSH 9.2p1, as are those below.
    const STRANGER: &str = "\
debug1: Host '10.77.1.2' is known and matches the ED25519 host key.
debug1: Will attempt key: /home/a/stranger ED25519 SHA256:AWlorpjctdX6uwqLltWnHS8ntm6Fsa+zK4gKT4slKl4 explicit
debug1: Authentications that can continue: publickey
debug1: Next authentication method: publickey
debug1: Offering public key: /home/a/stranger ED25519 SHA256:AWlorpjctdX6uwqLltWnHS8ntm6Fsa+zK4gKT4slKl4 explicit
debug1: Authentications that can continue: publickey
debug1: No more authentication methods to try.
alice@10.77.1.2: Permission denied (publickey).\r
";

    #[test]
    fn a_key_that_is_not_taken() {
        let denial = read_denial(STRANGER);
        assert_eq!(denial.offered, ["/home/a/stranger ED25519"]);
        assert_eq!(denial.accepts, ["publickey"]);
        assert!(denial.agent.is_none() && denial.locked.is_empty() && !denial.wants_a_person());
    }

    #[test]
    fn a_key_that_is_not_there_and_an_agent_that_does_not_answer() {
        let denial = read_denial(
            "debug1: get_agent_identities: ssh_get_authentication_socket: No such file or directory\n\
             debug1: Will attempt key: /home/a/none  explicit\n\
             debug1: Authentications that can continue: publickey,password\n\
             debug1: Trying private key: /home/a/none\n\
             no such identity: /home/a/none: No such file or directory\n",
        );
        assert_eq!((denial.missing, denial.agent), (vec!["/home/a/none".to_owned()], None));
        assert!(denial.offered.is_empty());
        assert_eq!(denial.accepts, ["publickey", "password"]);
    }

    #[test]
    fn agents_say_how_many_keys_they_have() {
        let agent = |line: &str| read_denial(line).agent;
        assert_eq!(agent("debug1: get_agent_identities: agent contains no identities"), Some(0));
        assert_eq!(agent("debug1: get_agent_identities: agent returned 2 keys"), Some(2));
        assert_eq!(agent("debug1: get_agent_identities: bound agent to hostkey"), None);
    }

    #[test]
    fn a_key_that_is_locked_or_open_to_others() {
        let denial = read_denial(
            "debug1: Offering public key: /home/a/key ED25519 SHA256:x explicit\n\
             debug1: Server accepts key: /home/a/key ED25519 SHA256:x explicit\n\
             Permissions 0644 for '/home/a/other' are too open.\n",
        );
        assert_eq!(
            (denial.locked, denial.exposed),
            (vec!["/home/a/key ED25519".into()], vec!["/home/a/other".to_owned()])
        );
        assert!(denial.offered.is_empty());
    }

    #[test]
    fn a_second_factor_is_told_from_a_wrong_key() {
        let denial = read_denial(
            "debug1: Server accepts key: /home/a/key ED25519 SHA256:x explicit\n\
             Authenticated using \"publickey\" with partial success.\n\
             debug1: Authentications that can continue: keyboard-interactive\n",
        );
        assert!(denial.is_partial && denial.wants_a_person() && denial.locked.is_empty());
        assert!(read_denial("debug1: Authentications that can continue: password").wants_a_person());
        assert!(
            !read_denial("debug1: Authentications that can continue: publickey,password").wants_a_person()
        );
    }

    proptest! {
        #[test]
        fn any_words_are_read(
            lines in prop::collection::vec(("(debug1: )?(Offering public key: |Server accepts key: |no such identity: |\
                Permissions |agent returned |Authentications that can continue: )?", "[^\n]{0,40}(too open\\.)?"), 0..6)
        ) {
            let said: String = lines.iter().map(|(begin, rest)| format!("{begin}{rest}\n")).collect();
            let denial = read_denial(&said);
            prop_assert!(denial.offered.len() + denial.locked.len() <= lines.len());
        }
    }
}
