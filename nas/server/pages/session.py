"""Signing in: a token, given once in a form, that the browser keeps as a cookie."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from nas.server.auth import check_token, clear_cookie, set_cookie
from nas.server.errors import Problem
from nas.server.pages.render import PageRoute, page

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/login")
def ask_token(request: Request, next: str = "/") -> Response:
    """The form, where a token is needed at all."""
    if not request.app.state.settings.authentication:
        return RedirectResponse("/", 303)
    return page(request, "login.html", next=local(next), message="")


@router.post("/login")
def sign_in(
    request: Request, token: Annotated[str, Form()], next: Annotated[str, Form()] = "/"
) -> Response:
    """Have the browser keep a token, if it is a good one."""
    try:
        check_token(request, token.strip())
    except Problem as problem:
        answer = page(
            request, "login.html", status=problem.status, next=local(next), message=str(problem)
        )
        answer.headers.update(problem.headers)
        return answer
    response = RedirectResponse(local(next), 303)
    set_cookie(response, request, token.strip())
    return response


@router.post("/logout")
def sign_out(request: Request) -> Response:
    """Have the browser forget it."""
    response = RedirectResponse("/", 303)
    clear_cookie(response)
    return response


def local(address: str) -> str:
    """The address if it is a path of this server, else the first page.

    >>> local("/front?x=macs"), local("//evil.example"), local("/\\\\evil.example")
    ('/front?x=macs', '/', '/')
    """
    return address if address.startswith("/") and address[1:2] not in ("/", "\\") else "/"
