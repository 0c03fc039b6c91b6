"""An OpenAI-compatible server in a thread, behind which a real tiny model gives the log-probabilities."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from jgpt.config import GenerateConfig
from jgpt.generation.generate import generate
from jgpt.generation.score import score
from stage.errors import UsageError


class Server:
    """Answers as a good server does; ``spoil`` changes an answer, ``first`` gives (status, headers, body) before it."""

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model, tokenizer
        self.asked, self.headers = [], []
        self.first = []
        self.spoil = lambda answer, asked: answer
        self.begin = "<s>"  # the begin piece, as vLLM lists it; "" for a server that puts none there
        self.offsets = "characters"
        self.most = 10_000

    def complete(self, asked):
        prompt = asked["prompt"]
        if not asked.get("echo"):
            config = GenerateConfig(max_tokens=asked["max_tokens"], temperature=0, stop=asked.get("stop", []))
            return self.answer(generate(self.model, self.tokenizer, prompt, config), None)
        with_begin = score(self.model, self.tokenizer, prompt, end=False)
        tokens = [self.written(each.id) for each in with_begin]
        values = [-each.surprisal * 0.6931471805599453 for each in with_begin]
        if self.begin:
            tokens, values = [self.begin, *tokens], [None, *values]
        else:
            values[:1] = [None]
        record = {"tokens": [*tokens, "神"], "token_logprobs": [*values, -1.5]}
        if self.offsets:
            record["text_offset"] = [len("".join(tokens[:number])) for number in range(len(tokens) + 1)]
        return self.answer(prompt + "神", record)

    def written(self, index):
        found = self.tokenizer.bytes_of(index)
        try:
            return found.decode()
        except UnicodeDecodeError:
            return "\ufffd"

    def answer(self, text, logprobs):
        return {"object": "text_completion", "choices": [{"index": 0, "text": text, "logprobs": logprobs}]}

    def respond(self, method, path, asked):
        if self.first:
            return self.first.pop(0)
        if path == "/v1/models":
            return 200, {}, {"data": [{"id": "tiny", "max_model_len": 64}]}
        if path != "/v1/completions":
            return 404, {}, {"error": {"message": "Not Found"}}
        if len(asked["prompt"]) > self.most:
            return 400, {}, {"error": {"message": f"maximum context length is {self.most}"}}
        try:
            return 200, {}, self.spoil(self.complete(asked), asked)
        except UsageError as error:
            return 400, {}, {"error": {"message": str(error)}}


@contextmanager
def serving(server):
    """Its address, while it runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.handle_one("GET", None)

        def do_POST(self):
            self.handle_one("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def handle_one(self, method, asked):
            server.headers.append(dict(self.headers))
            if asked is not None:
                server.asked.append(asked)
            status, headers, body = server.respond(method, self.path, asked)
            if status == 0:  # a connection that is cut in the middle
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
                self.close_connection = True
                return
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        http.server_close()
