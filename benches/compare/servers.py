"""The servers that are compared: each is started on core 0 with one UDP thread, and knows how much CPU time it has used."""

import os, pathlib, signal, socket, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
LOOPBACK = "127.0.0.1"


def free_port():
    """A port that neither UDP nor TCP uses."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind((LOOPBACK, 0))
            try:
                udp.bind((LOOPBACK, tcp.getsockname()[1]))
            except OSError:
                continue
            return tcp.getsockname()[1]


def written(path, text):
    path.write_text(text)
    return path


def wire_query(name, rtype=1):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + labels + b"\0" + rtype.to_bytes(2, "big") + b"\0\1"


class Server:
    """A process on core 0, with its children and threads."""

    def __init__(self, label, argv, port, folder):
        self.label, self.port, self.folder = label, port, folder
        self.started = time.monotonic()
        with open(folder / "log", "w") as log:
            argv = ["taskset", "-c", "0"] + [str(arg) for arg in argv]
            self.process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)
        self.idle = 0.0

    def pids(self):
        found, left = [], [self.process.pid]
        while left:
            pid = left.pop()
            found.append(pid)
            for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    left += [int(child) for child in path.read_text().split()]
                except OSError:
                    pass  # a thread that has just ended
        return found

    def cpu(self):
        """Seconds of CPU time used so far by all threads that are there."""
        spent = 0
        for pid in self.pids():
            for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    spent += int(path.read_text().split()[0])
                except OSError:
                    pass
        return spent / 1e9

    def cpu_with_ended(self):
        """The same of the process itself, in hundredths, with the threads that have ended: gdnsd loads its zones in one."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        """Octets of memory, what processes share counted once (PSS)."""
        total = 0
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                total += int(line.split()[1]) * 1024 if line.startswith("Pss:") else 0
        return total

    def is_up(self, name):
        """Whether it answers for the name with NOERROR and, unless it is the echo, data."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(0.2)
            try:
                asker.connect((LOOPBACK, self.port))
                asker.send(wire_query(name))
                reply = asker.recv(4096)
            except OSError:
                return False
        return reply[3] & 15 == 0 and (reply[7] > 0 or self.label == "echo")

    def wait(self, name, patience=60):
        """Waits until it answers for the name; seconds since it was started."""
        while not self.is_up(name):
            if self.process.poll() is not None or time.monotonic() - self.started > patience:
                sys.exit(f"{self.label} does not answer {name}:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.01)
        return time.monotonic() - self.started

    def rest(self, seconds=2.0):
        """Measures what it uses while nobody asks."""
        before = self.cpu()
        time.sleep(seconds)
        self.idle = (self.cpu() - before) / seconds

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def echo(folder):
    program = folder / "echo-server"
    subprocess.run(["gcc", "-O2", "-o", program, HERE / "echo.c"], check=True)
    port = free_port()
    return Server("echo", [program, port], port, folder)


def leeward(folder, zones, program, databases=(), extra=""):
    port = free_port()
    geo = f"[geo]\ndatabases = {[str(path) for path in databases]}\n".replace("'", '"') if databases else ""
    tables = "".join(f'[zone."{apex}"]\nfile = "{written(folder / (apex + ".zone"), text)}"\n' for apex, text in zones.items())
    config = written(folder / "leeward.toml", f'[node]\nstate_dir = "{folder}/state"\n'
                     f'[server]\nlisten = ["{LOOPBACK}:{port}"]\nudp_threads = 1\n{extra}'
                     f'[admin]\nsocket = "{folder}/control.sock"\nlisten = ""\n{geo}{tables}')
    return Server("leeward", [program, "serve", "--config", config], port, folder)


def gdnsd(folder, zones, target):
    """`target`: the port of the health checks of the resource `three`."""
    port = free_port()
    (folder / "zones").mkdir()
    for apex, text in zones.items():
        written(folder / "zones" / apex, text)
    written(folder / "config", f"""
options => {{ listen => {LOOPBACK}:{port}, udp_threads => 1, tcp_threads => 1, run_dir => {folder}/run, state_dir => {folder}/state }}
service_types => {{ port => {{ plugin => tcp_connect, port => {target}, interval => 5, timeout => 2 }} }}
plugins => {{ multifo => {{ three => {{ service_types => port, a => {LOOPBACK}, b => 127.0.0.2, c => 127.0.0.3 }} }} }}
""")
    return Server("gdnsd", ["gdnsd", "-c", folder, "start"], port, folder)


def knot(folder, zones):
    port = free_port()
    tables = "".join(f"  - domain: {apex}\n    file: {written(folder / (apex + '.zone'), text)}\n" for apex, text in zones.items())
    config = written(folder / "knot.conf", f"""
server:
    rundir: {folder}
    listen: {LOOPBACK}@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}
template:
  - id: default
    storage: {folder}
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
zone:
{tables}""")
    return Server("Knot", ["knotd", "-c", config], port, folder)


def nsd(folder, zones):
    port = free_port()
    tables = "".join(f'zone:\n    name: {apex}\n    zonefile: {written(folder / (apex + ".zone"), text)}\n'
                     for apex, text in zones.items())
    config = written(folder / "nsd.conf", f"""
server:
    ip-address: {LOOPBACK}@{port}
    server-count: 1
    username: ""
    zonesdir: {folder}
    pidfile: {folder}/pid
    xfrdfile: {folder}/xfrd
    zonelistfile: {folder}/zones
    xfrdir: {folder}
    database: ""
    rrl-ratelimit: 0
    minimal-responses: yes
remote-control:
    control-enable: no
{tables}""")
    return Server("NSD", ["nsd", "-d", "-c", config], port, folder)


def powerdns(folder, zones, databases=(), interval=5):
    port = free_port()
    tables = "".join(f'zone "{apex}" {{ type master; file "{written(folder / (apex + ".zone"), f"$ORIGIN {apex}.{chr(10)}" + text)}"; }};\n'
                     for apex, text in zones.items())
    written(folder / "named.conf", f'options {{ directory "{folder}"; }};\n{tables}')
    written(folder / "geo.yaml", "domains: []\n")
    geo = f"geoip-database-files={' '.join(map(str, databases))}\ngeoip-zones-file={folder}/geo.yaml\n" if databases else ""
    written(folder / "pdns.conf", f"""
launch=bind{',geoip' if databases else ''}
bind-config={folder}/named.conf
local-address={LOOPBACK}:{port}
socket-dir={folder}
enable-lua-records=shared
receiver-threads=1
distributor-threads=1
lua-health-checks-interval={interval}
edns-subnet-processing=yes
guardian=no
daemon=no
write-pid=no
{geo}""")
    return Server("PowerDNS", ["pdns_server", f"--config-dir={folder}"], port, folder)
