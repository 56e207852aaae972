"""Nobody sees or says anything without a login, and no foreign page acts in anybody's name."""

import re
from pathlib import Path

import httpx
import pytest

from console import passwords
from console.guard import local
from console.reader import now_ms
from console.sessions import COOKIE, LASTS_MS, ONCE_LASTS_MS, Sessions
from tests.console.world import HASH, ORIGIN, PASSWORD, SECRET, World

PAGES = ("/", "/desk", "/search", "/leads/u_aaaaaaaaaaaaaaaa")
API = ("/api/leads", "/api/alerts", "/api/assignments", "/api/leads/u_aaaaaaaaaaaaaaaa", "/api/stream")
WRITES = ("/act", "/presence", "/logout", "/api/leads/u_aaaaaaaaaaaaaaaa/activities", "/api/reps/ana/presence")


async def enter(world: World, **fields: str) -> httpx.Response:
    """Send the login form."""
    async with world.browser() as browser:
        return await browser.post("/login", data={"rep": "ben", "password": PASSWORD, **fields})


async def test_name_and_password_sign_in(world: World) -> None:
    """The right password makes a cookie that scripts cannot read and that other sites' forms do not carry."""
    answer = await enter(world)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    async with world.browser() as browser:
        assert (await browser.get("/", headers={"cookie": cookie.split(";")[0]})).status_code in (200, 303)


@pytest.mark.parametrize("fields", [{"password": "wrong horse battery"}, {"rep": "nobody"}, {"password": ""}])
async def test_a_wrong_name_or_password_is_refused(world: World, fields: dict[str, str]) -> None:
    """Neither is told apart from the other, and no cookie is made."""
    answer = await enter(world, **fields)
    assert answer.status_code == 403
    assert "do not belong together" in answer.text
    assert "set-cookie" not in answer.headers


async def test_who_is_not_in_the_roster_cannot_sign_in(world: World) -> None:
    """Zoe has a password and has left the roster."""
    answer = await enter(world, rep="zoe")
    assert answer.status_code == 403
    assert "roster" in answer.text
    async with world.browser("zoe") as browser:
        assert (await browser.get("/")).status_code == 303


async def test_guessing_is_slowed_down(world: World) -> None:
    """After eight wrong passwords the right one has to wait as well."""
    for _ in range(8):
        await enter(world, password="wrong horse battery")
    assert (await enter(world)).status_code == 429
    assert (await enter(world, rep="ana")).status_code == 303


@pytest.mark.parametrize("path", PAGES)
async def test_pages_lead_to_the_login(world: World, path: str) -> None:
    """Without a login a page leads there, and back afterwards."""
    async with world.browser() as browser:
        answer = await browser.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("path", [*API, "/live"])
async def test_reading_needs_a_login(world: World, path: str) -> None:
    """The API and the streams answer 401."""
    async with world.browser() as browser:
        assert (await browser.get(path)).status_code == 401


@pytest.mark.parametrize("path", WRITES)
async def test_no_write_without_a_login(world: World, path: str) -> None:
    """Whatever changes something answers 401, and nothing reaches the desk."""
    async with world.browser() as browser:
        assert (await browser.post(path, json={"kind": "accept"})).status_code == 401
    assert world.kafka.offset == 0


@pytest.mark.parametrize("path", [*WRITES, "/login"])
@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"origin": ""}, {"origin": f"{ORIGIN}.evil.example"}],
)
async def test_no_write_from_another_page(world: World, path: str, headers: dict[str, str]) -> None:
    """A foreign page that has the browser send our cookie is refused."""
    async with world.browser("ben") as browser:
        assert (await browser.post(path, json={"kind": "accept"}, headers=headers)).status_code == 403
    assert world.kafka.offset == 0


async def test_no_write_without_an_origin(world: World) -> None:
    """What does not say where it comes from is not from a page of ours."""
    async with world.browser("ben") as browser:
        del browser.headers["origin"]
        assert (await browser.post("/presence", data={"state": "on"})).status_code == 403
        same = {"sec-fetch-site": "same-origin"}
        assert (await browser.post("/presence", data={"state": "on"}, headers=same)).status_code == 303


async def test_a_session_ends(world: World) -> None:
    """After its time a cookie is nobody's, and so is one that was changed."""
    sessions = world.console.sessions
    cookie = sessions.begin("ben", now_ms() - LASTS_MS)
    assert sessions.read(cookie, now_ms()) is None
    assert sessions.read(cookie, now_ms() - 1_000) is not None
    fresh = sessions.begin("ben", now_ms())
    for broken in (fresh[:-2] + "AA", fresh.replace(".", ""), f"x{fresh}", "", ".", "a.b", "ü.ü"):
        assert sessions.read(broken, now_ms()) is None
    async with world.browser(cookie=f"{COOKIE}={cookie}") as browser:
        assert (await browser.get("/")).status_code == 303


async def test_a_new_password_ends_the_sessions_of_the_old_one() -> None:
    """Whoever thinks that a password is known to others changes it, and is safe."""
    stored = {"ben": HASH}
    sessions = Sessions(SECRET, lambda: stored)
    cookie = sessions.begin("ben", 0)
    assert sessions.read(cookie, 1) is not None
    assert Sessions(b"another secret", lambda: stored).read(cookie, 1) is None
    stored["ben"] = passwords.make("another password")
    assert sessions.read(cookie, 1) is None


async def test_a_link_signs_in_once(world: World) -> None:
    """A one-time link signs its person in to its page; the second time, and after ten minutes, it is nobody's."""
    token = world.console.sessions.link("ben", "/demo", now_ms())
    async with world.browser() as browser:
        answer = await browser.get(f"/login?once={token}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/demo")
        browser.cookies.clear()
        assert (await browser.get(f"/login?once={token}")).status_code == 403
    late = world.console.sessions.link("ben", "/", now_ms() - ONCE_LASTS_MS)
    assert world.console.sessions.use(late, now_ms()) is None
    assert world.console.sessions.read(late, now_ms()) is None


async def test_signing_out_forgets(world: World) -> None:
    """The cookie is taken away."""
    async with world.browser("ben") as browser:
        answer = await browser.post("/logout")
    assert answer.headers["location"] == "/login"
    assert "max-age=0" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("page", ["https://evil.example", "//evil.example", "/\\evil.example", "", "evil", "/a\nb"])
def test_the_login_leads_to_no_other_site(page: str) -> None:
    """`next` is a page of ours."""
    assert local(page) == "/"
    assert local("/leads/u_x?a=b") == "/leads/u_x?a=b"


@pytest.mark.parametrize("path", ["/", "/login", "/desk", "/nowhere", "/api/leads", "/healthz", "/static/console.css"])
async def test_every_answer_keeps_foreign_code_out(world: World, path: str) -> None:
    """Whatever is answered carries a policy that lets no inline script or style run, and nobody frame it."""
    async with world.browser("mert") as browser:
        headers = (await browser.get(path)).headers
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


def test_no_template_needs_inline_code() -> None:
    """No template has a script, a style or a handler of its own, or an expression that htmx would evaluate."""
    folder = Path(__file__).parents[2] / "console" / "templates"
    for path in folder.glob("*.html"):
        text = path.read_text()
        assert not re.search(
            r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|hx-on|javascript:|js:|\|\s*safe", text
        ), path


def test_a_password_is_kept_as_a_hash_of_its_own() -> None:
    """The same password twice has two hashes; each fits it and nothing else; a broken one fits nothing."""
    one, two = HASH, passwords.make(PASSWORD)
    assert one != two
    assert PASSWORD not in one
    assert passwords.fits(PASSWORD, one)
    assert passwords.fits(PASSWORD, two)
    assert not passwords.fits(PASSWORD + " ", one)
    for broken in ("", "scrypt$1$1$1$$", "md5$1", one[:-4], one.replace("scrypt", "plain"), passwords.NOBODY):
        assert not passwords.fits(PASSWORD, broken)
    for bad in ("short", "x" * 2_000):
        with pytest.raises(ValueError, match="password"):
            passwords.make(bad)
