"""Every kind of job has a title and a page, and a job links to what it makes."""

from genai_lab.context import LabContext
from genai_lab.services import jobs, runs
from genai_lab.services.jobs import outputs
from tests.jobs.test_jobs import config as config
from tests.jobs.test_jobs import lab as lab


def test_every_kind_of_job_has_a_title_and_a_page(lab: LabContext) -> None:
    kinds = [kind for kind in jobs.HANDLERS if kind != "count"]
    assert len(kinds) >= 10
    for kind in kinds:
        assert outputs.title_of(kind)[0].isupper()
    ids = [jobs.enqueue(lab, kind, {}, title=kind) for kind in kinds]
    addresses = outputs.addresses(lab, [jobs.show(lab, job_id) for job_id in ids])
    assert all(address.startswith("/") for address in addresses.values())


def test_a_job_links_to_the_page_of_its_run(lab: LabContext) -> None:
    with lab.database.session() as session:
        run_id = runs.begin(session, "matrix", [], {"title": "m", "plan": {}}, seed=1).id
    job_id = jobs.enqueue(lab, "matrix", {}, title="Matrix", run_id=run_id)
    assert outputs.addresses(lab, [jobs.show(lab, job_id)]) == {job_id: f"/prompts?matrix={run_id}"}


def test_a_job_of_a_plugin_that_is_not_loaded_has_neither(lab: LabContext) -> None:
    assert outputs.title_of("unknown") == "unknown"
    job_id = jobs.enqueue(lab, "count", {"upto": 1, "name": "a"}, title="Count")
    assert outputs.addresses(lab, [jobs.show(lab, job_id)]) == {job_id: ""}
