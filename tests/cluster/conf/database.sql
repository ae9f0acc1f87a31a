-- Follows MariaDB's own tables in a bootstrap run, where grants must be loaded before they can be changed.
FLUSH PRIVILEGES;
CREATE DATABASE slurm_acct_db;
CREATE USER 'slurm'@'localhost' IDENTIFIED VIA unix_socket;
GRANT ALL ON slurm_acct_db.* TO 'slurm'@'localhost';
FLUSH PRIVILEGES;
