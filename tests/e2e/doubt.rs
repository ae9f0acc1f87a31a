//! Services in several statuses, and what must be true of them while nothing can be known, and afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use towline_core::time::Timestamp;

use crate::harness::{Lab, Output, SOON, eventually, get};

/// How long it may take until all is as it was: who has failed for long waits for up to a minute.
const BACK: Duration = Duration::from_secs(120);

/// Four services of one lab, each in a status of its own: `web`, `held`, `mute` and `ended`.
pub(crate) struct Household<'a> {
    lab: &'a Lab,
    pub(crate) url: String,
    /// Job ids by name.
    jobs: BTreeMap<String, String>,
    /// Slurm's word for each job that lives.
    states: BTreeMap<String, String>,
    histories: BTreeMap<String, Vec<String>>,
}

/// What nobody's doubt may change, and what becomes of a service whose server cannot be reached.
const STATUSES: [(&str, &[&str]); 4] = [
    ("web", &["HEALTHY", "UNHEALTHY"]),
    ("held", &["PENDING"]),
    ("mute", &["STARTING"]),
    ("ended", &["FAILED"]),
];
const CAUSE: &str = "the job failed (exit code 3";

impl<'a> Household<'a> {
    /// Starts the services, on nodes that no fault befalls, and waits until each stands where it is to stand.
    #[track_caller]
    pub(crate) fn settle(lab: &'a Lab) -> Self {
        let detached = ["--detach", "--time", "30", "--exclude", "c3"];
        let run = |name, words: &[&str]| lab.run(name, &[&detached[..], words].concat()).ok();
        run("ended", &["--", "bash", "-c", "exit 3"]);
        run("held", &["--sbatch-arg=--hold", "--", "true"]);
        run("mute", &["--grace", "1200", "--", "sleep", "1200"]);
        let url = lab.run_web("web", &["--time", "30", "--exclude", "c3"]);
        let mut home =
            Self { lab, url, jobs: BTreeMap::new(), states: BTreeMap::new(), histories: BTreeMap::new() };
        let services = eventually("the statuses", SOON, || home.as_before());
        home.jobs = services.iter().map(|(name, service)| (name.clone(), text(service, "job_id"))).collect();
        home.states = home.living();
        home.histories = services.keys().map(|name| (name.clone(), lab.history(name))).collect();
        assert_eq!(home.states.len(), 3, "{:?}", home.states);
        home
    }

    /// Looks, and makes sure that no service has another job or has ended for want of news.
    #[track_caller]
    pub(crate) fn look(&self) -> (Output, BTreeMap<String, Value>) {
        let (listed, services) = self.list();
        for (name, statuses) in STATUSES {
            let service = &services[name];
            assert!(statuses.contains(&service["status"].as_str().unwrap()), "{service:#}");
            let has_cause = |cause: &str| name == "ended" && cause.starts_with(CAUSE);
            assert!(service["cause"].as_str().map_or(name != "ended", has_cause), "{service:#}");
            let job = self.jobs.get(name);
            assert!(job.is_none_or(|job| service["job_id"] == *job), "{job:?}: {service:#}");
        }
        (listed, services)
    }

    /// `ls` ends well, warns in these words, and tells of those services what was last known; of others, news.
    #[track_caller]
    pub(crate) fn assert_doubtful(&self, word: &str, doubted: &[&str]) -> BTreeMap<String, Value> {
        let doubts = |service: &Value| service["doubt"]["why"].as_str().is_some_and(|why| why.contains(word));
        // What was learnt less than two seconds ago is not asked again.
        let (listed, services) = eventually(&format!("{word:?} of {doubted:?}"), BACK, || {
            let (listed, services) = self.look();
            doubted.iter().all(|name| doubts(&services[*name])).then_some((listed, services))
        });
        assert!(listed.stderr.starts_with("warning: profile lab: no news of "), "{listed:?}");
        listed.says(&[word, "shown as last known"]);
        for name in doubted {
            let service = &services[*name];
            let at = |value: &Value| -> Timestamp { serde_json::from_value(value.clone()).unwrap() };
            let (seen, doubt) = (at(&service["observed_at"]), &service["doubt"]);
            assert!(*name == "web" || seen <= at(&doubt["since"]), "{service:#}");
            assert!(at(&doubt["since"]) <= at(&doubt["retry_at"]), "{service:#}");
        }
        let table = self.lab.towline(&["ls", "--all", "--no-refresh"]).ok();
        for line in table.lines().skip(1) {
            let name = line.split_whitespace().nth(1).unwrap();
            let is_old = line.contains("last known ") && line.contains(" ago: ");
            assert!(!doubted.contains(&name) || is_old, "{table}");
            assert!(name != "ended" || !is_old, "{table}");
        }
        services
    }

    /// `ls` tells news of all, as if nothing were wrong.
    #[track_caller]
    pub(crate) fn assert_untouched(&self) {
        eventually("news of all", SOON, || {
            let (listed, services) = self.look();
            assert_eq!(listed.stderr, "", "{listed:?}");
            (services["web"]["status"] == "HEALTHY").then_some(())
        });
        assert_eq!(get(&self.url).unwrap().status, 200);
    }

    /// All is as it was before: the same jobs and no others, none of them cancelled; the same URL, which answers again;
    /// one login; and no status in any history that doubt would have put there.
    #[track_caller]
    pub(crate) fn assert_back(&self) {
        self.lab.towline(&["refresh", "--now"]).code(0);
        let services = eventually("all as it was", BACK, || {
            self.look();
            let services = self.as_before()?;
            get(&self.url).is_ok_and(|page| page.status == 200).then_some(services)
        });
        assert_eq!(services["web"]["url"], self.url, "{services:#?}");
        let now = self.living();
        for (job, state) in &self.states {
            assert_eq!(now.get(job), Some(state), "{now:?}");
        }
        for (name, before) in &self.histories {
            let history = self.lab.history(name);
            let (old, new) = history.split_at(before.len());
            assert_eq!(old, before, "{name}");
            let may = |to: &String| name == "web" && ["HEALTHY", "UNHEALTHY"].contains(&to.as_str());
            assert!(new.iter().all(may), "{name}: {history:?}");
        }
        assert_eq!(self.lab.ssh_processes().len(), 1, "{:?}", self.lab.ssh_processes());
    }

    /// The same, and there are no jobs but these.
    #[track_caller]
    pub(crate) fn assert_back_alone(&self) {
        self.assert_back();
        assert_eq!(self.living(), self.states);
    }

    fn list(&self) -> (Output, BTreeMap<String, Value>) {
        let listed = self.lab.towline(&["ls", "--all", "--json"]).code(0);
        let services: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
        (listed, services.into_iter().map(|service| (text(&service, "name"), service)).collect())
    }

    /// All services, if each has the status that it had when all was well, and there is no doubt.
    fn as_before(&self) -> Option<BTreeMap<String, Value>> {
        let (_, services) = self.list();
        let is_well = |(name, statuses): &(&str, &[&str])| services[*name]["status"] == statuses[0];
        let all = STATUSES.iter().all(is_well);
        (all && STATUSES.iter().all(|(name, _)| services[*name]["doubt"].is_null())).then_some(services)
    }

    /// Slurm's words for the jobs of this lab that have not ended.
    fn living(&self) -> BTreeMap<String, String> {
        let living = self.lab.living_jobs();
        self.lab.jobs().into_iter().filter(|(id, _)| living.contains(id)).collect()
    }
}

fn text(service: &Value, field: &str) -> String {
    service[field].as_str().unwrap_or_else(|| panic!("{field}: {service:#}")).to_owned()
}
