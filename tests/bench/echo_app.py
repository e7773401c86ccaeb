"""The least an application of this framework can do: give back what it was sent."""

from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.post("/echo")
async def echo(request: Request) -> Response:
    """Answer with the body."""
    return Response(await request.body(), media_type="application/octet-stream")
