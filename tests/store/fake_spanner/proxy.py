"""What clients connect to: hands everything on to the server, and closes connections when told."""
import socket
import threading


class Proxy:
    def __init__(self, server_port):
        self.server_port = server_port
        self.lock = threading.Lock()
        self.pairs = {}  # the address as the server sees it: (client's socket, server's socket)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.server_port))
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            name = "ipv4:%s:%d" % server.getsockname()
            with self.lock:
                self.pairs[name] = (client, server)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(name, source, target), daemon=True).start()

    def _pass(self, name, source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass
        self.cut(name)

    def cut(self, name):
        """Closes that connection, as the server names its peer. What is on its way is lost."""
        with self.lock:
            pair = self.pairs.pop(name, ())
        for each in pair:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def cut_all(self):
        with self.lock:
            names = list(self.pairs)
        for name in names:
            self.cut(name)
