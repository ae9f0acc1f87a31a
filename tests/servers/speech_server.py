"""Transcription of speech by Whisper (faster-whisper), behind the path of OpenAI's API: /v1/audio/transcriptions."""

import argparse
import email.parser
import io
import os
import pathlib

import faster_whisper

import serving


def arguments():
    parser = argparse.ArgumentParser(prog="whisper-server", description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", required=True, type=pathlib.Path, help="directory with the weights of CTranslate2")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are processors")
    parser.add_argument("--beam-size", type=int, default=5)
    return parser.parse_args()


def form(body, kind):
    """The fields of a form, as bytes: RFC 7578, whose parts are those of a mail."""
    message = email.parser.BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        raise serving.Refusal(400, "the body is no form with a file")
    return {
        part.get_param("name", header="Content-Disposition"): part.get_payload(decode=True)
        for part in message.get_payload()
    }


def transcription(beam_size):
    def transcribe(model, body, kind):
        fields = form(body, kind)
        if "file" not in fields:
            raise serving.Refusal(400, "there is no `file` in the form")
        language = fields.get("language", b"").decode() or None
        try:
            segments, info = model.transcribe(io.BytesIO(fields["file"]), language=language, beam_size=beam_size)
        except ValueError as error:
            raise serving.Refusal(400, f"the file cannot be read: {error}") from error
        text = "".join(segment.text for segment in segments).strip()
        match fields.get("response_format", b"json"):
            case b"text":
                return text
            case b"json":
                return {"text": text}
            case b"verbose_json":
                return {"text": text, "language": info.language, "duration": info.duration}
            case other:
                raise serving.Refusal(400, f"response_format {other.decode(errors='replace')} is not known")

    return transcribe


def main():
    options = arguments()

    def load():
        # What is not there would be taken for a name, and downloaded.
        directory = str(options.model.resolve(strict=True))
        return faster_whisper.WhisperModel(directory, device="cpu", compute_type="int8", cpu_threads=options.threads)

    routes = {"/v1/audio/transcriptions": transcription(options.beam_size)}
    serving.serve(options.host, options.port, os.environ.get("WHISPER_API_KEY"), load, routes)


if __name__ == "__main__":
    main()
