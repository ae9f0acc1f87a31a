//! Slurm as text in and text out: batch scripts, one-command submission, one-command survey.
