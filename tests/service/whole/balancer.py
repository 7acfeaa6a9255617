"""Spreads TCP connections over several servers on this machine, as a load balancer in front of them would."""
import itertools
import socket
import threading


def pump(source, target):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Balancer:
    def __init__(self, port, targets):
        self.targets = itertools.cycle(targets)
        self.listener = socket.create_server(("127.0.0.1", port), backlog=256)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        """To the next server that answers."""
        for _ in range(2):
            try:
                server = socket.create_connection(("127.0.0.1", next(self.targets)), 2)
            except OSError:
                continue
            for end in (client, server):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=pump, args=(server, client), daemon=True).start()
            pump(client, server)
            server.close()
            break
        client.close()

    def close(self):
        self.listener.close()
