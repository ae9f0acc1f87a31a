//! Somebody else's scheduler: a queue in memory, whose jobs are threads of this program.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use towline_core::id::{JobId, ServiceId};
use towline_core::job::{ExitStatus, JobEnd, JobReport, JobState, Outcome, Place, Sight, Sighting};
use towline_core::ports::{CancelError, Scheduler, Subject, SubmitError, Survey, SurveyError};
use towline_core::spec::{ServiceSpec, SpecError};

/// A scheduler with a number of workers. A job takes as many as it asks for CPUs, and waits until they are free.
///
/// Its jobs live and die with this program; all clones are one scheduler.
#[derive(Clone)]
pub(crate) struct Threads {
    queue: Arc<Mutex<Queue>>,
    workers: u32,
}

struct Queue {
    free: u32,
    /// In the order in which they came.
    jobs: Vec<Job>,
}

struct Job {
    id: JobId,
    service: ServiceId,
    task: Task,
    workers: u32,
    stage: Stage,
}

enum Stage {
    Queued,
    Running { since: Instant, place: Option<Place>, stop: Sender<()> },
    Ended(JobEnd),
}

/// What a command means here.
#[derive(Clone, Copy)]
enum Task {
    /// `serve`: answers HTTP until it is stopped.
    Serve,
    /// `idle`: does nothing until it is stopped.
    Idle,
    /// `exit N`.
    Exit(u8),
}

fn task(spec: &ServiceSpec) -> Result<Task, SpecError> {
    let words: Vec<&str> = spec.command.iter().map(String::as_str).collect();
    let unknown = || SpecError::new("command", format!("{words:?} is neither serve, idle nor exit N"));
    match words[..] {
        ["serve"] => Ok(Task::Serve),
        ["idle"] => Ok(Task::Idle),
        ["exit", code] => code.parse().map(Task::Exit).map_err(|_| unknown()),
        _ => Err(unknown()),
    }
}

impl Threads {
    pub(crate) fn new(workers: u32) -> Self {
        Self { queue: Arc::new(Mutex::new(Queue { free: workers, jobs: Vec::new() })), workers }
    }

    /// How many jobs of a service have not ended.
    pub(crate) fn living(&self, service: ServiceId) -> usize {
        let lives = |job: &&Job| job.service == service && !matches!(job.stage, Stage::Ended(_));
        self.queue().jobs.iter().filter(lives).count()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the jobs that come first and find enough workers.
    fn start_next(&self, queue: &mut Queue) {
        for index in 0..queue.jobs.len() {
            let free = queue.free;
            let job = &mut queue.jobs[index];
            if !matches!(job.stage, Stage::Queued) {
                continue;
            }
            if job.workers > free {
                break;
            }
            let (stop, stopped) = channel();
            job.stage = Stage::Running { since: Instant::now(), place: None, stop };
            queue.free -= job.workers;
            let (own, id, task) = (self.clone(), job.id.clone(), job.task);
            std::thread::spawn(move || {
                let end = own.run(&id, task, &stopped);
                own.finish(&id, end);
            });
        }
    }

    /// The work of one thread: does the task and tells how it ended.
    fn run(&self, id: &JobId, task: Task, stopped: &Receiver<()>) -> JobEnd {
        match task {
            Task::Exit(code) => {
                let outcome = if code == 0 { Outcome::Completed } else { Outcome::Failed };
                return JobEnd { outcome, exit: Some(ExitStatus { code, signal: None }), reason: None };
            }
            Task::Idle => wait(stopped),
            Task::Serve => {
                if let Err(error) = self.serve(id, stopped) {
                    let exit = Some(ExitStatus { code: 1, signal: None });
                    return JobEnd { outcome: Outcome::Failed, exit, reason: Some(error.to_string()) };
                }
            }
        }
        JobEnd { outcome: Outcome::Cancelled, exit: None, reason: None }
    }

    fn serve(&self, id: &JobId, stopped: &Receiver<()>) -> std::io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        self.publish(id, address.port());
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let answering = std::thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                // Who asks and goes away is no failure of the server's.
                drop(stream.and_then(answer));
            }
        });
        wait(stopped);
        over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for somebody to answer.
        drop(TcpStream::connect(address)?);
        answering.join().map_err(|_| std::io::Error::other("the server panicked"))
    }

    /// Tells where a job's server listens, now that it does.
    fn publish(&self, id: &JobId, port: u16) {
        let at = Place {
            host: "127.0.0.1".into(),
            port,
            pid: std::process::id(),
            listening: true,
            loopback: true,
        };
        if let Some(Stage::Running { place, .. }) = self.queue().stage_mut(id) {
            *place = Some(at);
        }
    }

    fn finish(&self, id: &JobId, end: JobEnd) {
        let mut queue = self.queue();
        let workers = queue.jobs.iter().find(|job| job.id == *id).map_or(0, |job| job.workers);
        queue.free += workers;
        if let Some(stage) = queue.stage_mut(id) {
            *stage = Stage::Ended(end);
        }
        self.start_next(&mut queue);
    }
}

/// Waits until it is stopped; a sender that is gone can do no more.
fn wait(stopped: &Receiver<()>) {
    let _ = stopped.recv();
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 1024];
    if stream.read(&mut request)? > 0 {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    }
    Ok(())
}

impl Queue {
    fn stage_mut(&mut self, id: &JobId) -> Option<&mut Stage> {
        self.jobs.iter_mut().find(|job| job.id == *id).map(|job| &mut job.stage)
    }
}

impl Job {
    fn sighting(&self) -> Sighting {
        let (state, running_for, place) = match &self.stage {
            Stage::Queued => (JobState::Queued, None, None),
            Stage::Running { since, place, .. } => (JobState::Running, Some(since.elapsed()), place.clone()),
            Stage::Ended(end) => (JobState::Ended(end.clone()), None, None),
        };
        let report = JobReport {
            id: self.id.clone(),
            word: format!("{state:?}"),
            state,
            node: None,
            reason: None,
            running_for,
            time_left: None,
            run: None,
        };
        Sighting { sight: Sight::Seen(report), place, exit: None, at: None }
    }
}

#[async_trait]
impl Scheduler for Threads {
    fn check(&self, spec: &ServiceSpec) -> Result<(), SpecError> {
        spec.check()?;
        task(spec).map(drop)
    }

    async fn submit(&self, id: ServiceId, spec: &ServiceSpec) -> Result<JobId, SubmitError> {
        self.check(spec)?;
        let (task, workers) = (task(spec)?, spec.resources.cpus.unwrap_or(1));
        if workers > self.workers {
            return Err(SubmitError::Refused { words: format!("there are only {} workers", self.workers) });
        }
        let mut queue = self.queue();
        if let Some(job) = queue.jobs.iter().find(|job| job.service == id) {
            return Ok(job.id.clone());
        }
        let job = JobId::new(format!("job-{}", queue.jobs.len() + 1));
        queue.jobs.push(Job { id: job.clone(), service: id, task, workers, stage: Stage::Queued });
        self.start_next(&mut queue);
        Ok(job)
    }

    async fn survey(&self, subjects: &[Subject]) -> Result<Survey, SurveyError> {
        let queue = self.queue();
        // The service decides, whatever id the job is said to have.
        let jobs: BTreeMap<ServiceId, &Job> = queue.jobs.iter().map(|job| (job.service, job)).collect();
        let look = |subject: &Subject| {
            let job = jobs.get(&subject.id);
            (subject.id, job.map_or_else(|| Sighting::absent(None), |job| job.sighting()))
        };
        Ok(Survey { sightings: subjects.iter().map(look).collect() })
    }

    async fn cancel(&self, id: ServiceId, job: &JobId) -> Result<(), CancelError> {
        let mut queue = self.queue();
        let own = queue.jobs.iter_mut().find(|known| known.id == *job && known.service == id);
        match own.map(|job| &mut job.stage) {
            Some(stage @ Stage::Queued) => {
                *stage = Stage::Ended(JobEnd { outcome: Outcome::Cancelled, exit: None, reason: None });
                self.start_next(&mut queue);
            }
            // A thread that does not listen any more has ended.
            Some(Stage::Running { stop, .. }) => drop(stop.send(())),
            Some(Stage::Ended(_)) | None => {}
        }
        Ok(())
    }
}
