//! The target: nginx with one worker on CPU 0, a file of 1 KB, connections kept for ever.

use crate::{Failure, machine};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// A running nginx. Ends when dropped.
pub(super) struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    /// Starts it with its files in `folder`.
    pub(super) fn start(folder: &Path) -> Result<Nginx, Failure> {
        let failed = |error: std::io::Error| format!("failed to start nginx: {error}");
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).map_err(failed)?.port();
        std::fs::create_dir_all(folder.join("www")).map_err(failed)?;
        std::fs::write(folder.join("www/index.html"), "x".repeat(1024)).map_err(failed)?;
        let config = folder.join("nginx.conf");
        std::fs::write(&config, configuration(folder, port)).map_err(failed)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(&config).arg("-e").arg(folder.join("error.log"));
        let child = machine::start(&mut command, Some(0))?;
        let server = Nginx { child, port };
        for _ in 0..100 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(server);
            }
            machine::sleep(Duration::from_millis(50));
        }
        Err("failed to start nginx: it does not listen".into())
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/index.html", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SAFETY: a signal to a child that has not been waited for; the master ends its worker.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}

fn configuration(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
           access_log off;\n\
           keepalive_requests 1000000000;\n\
           keepalive_timeout 3600s;\n\
           sendfile on; tcp_nopush on; tcp_nodelay on;\n\
           open_file_cache max=10;\n\
           client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};\n\
           uwsgi_temp_path {folder}; scgi_temp_path {folder};\n\
           server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/www; }}\n\
         }}\n"
    )
}
