"""An SFTP server of this process, for one user, over a folder."""

import os
import socket
import threading

import paramiko


class _Users(paramiko.ServerInterface):
    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_auth_password(self, username, password):
        known = (username, password) == ("someone", "s3cr3t")
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password"


def _answered(function):
    def call(self, *arguments):
        try:
            done = function(self, *arguments)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        return paramiko.SFTP_OK if done is None else done

    return call


class _Files(paramiko.SFTPServerInterface):
    root = None

    def _at(self, path):
        return os.path.join(self.root, path.strip("/"))

    @_answered
    def list_folder(self, path):
        folder = self._at(path)
        found = []
        for name in os.listdir(folder):
            facts = paramiko.SFTPAttributes.from_stat(os.stat(os.path.join(folder, name)))
            facts.filename = name
            found.append(facts)
        return found

    @_answered
    def stat(self, path):
        return paramiko.SFTPAttributes.from_stat(os.stat(self._at(path)))

    lstat = stat

    @_answered
    def open(self, path, flags, attributes):
        mode = "r+b" if flags & (os.O_WRONLY | os.O_RDWR) else "rb"
        file = os.fdopen(os.open(self._at(path), flags, 0o644), mode)
        handle = paramiko.SFTPHandle(flags)
        handle.readfile = handle.writefile = file
        return handle

    @_answered
    def remove(self, path):
        os.remove(self._at(path))

    @_answered
    def rename(self, old, new):
        os.link(self._at(old), self._at(new))
        os.remove(self._at(old))

    @_answered
    def posix_rename(self, old, new):
        os.replace(self._at(old), self._at(new))

    @_answered
    def mkdir(self, path, attributes):
        os.mkdir(self._at(path))

    @_answered
    def rmdir(self, path):
        os.rmdir(self._at(path))


class SFTPServer:
    """A server at a port of this machine; ``close`` ends it."""

    def __init__(self, root):
        self._files = type("Files", (_Files,), {"root": str(root)})
        self._key = paramiko.RSAKey.generate(2048)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._transports = []
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # it is closed
            transport = paramiko.Transport(connection)
            transport.add_server_key(self._key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, self._files)
            transport.start_server(server=_Users(), event=threading.Event())
            self._transports.append(transport)

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in self._transports:
            each.close()
