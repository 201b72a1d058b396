"""The flow of review.yaml in typed Python. Run it with `edgematrix run desk.py`."""

from review import Incident, critic, history, limits, writer

import edgematrix as em

desk = em.Matrix("desk")
review = desk.flow("review", inputs={"incident": Incident}, max_steps=10, deadline="1m")
incident = review.input("incident")
limit = review.agent(retry=em.Retry(attempts=2, wait_initial="1s", wait_jitter=0))(limits)
past = review.agent()(history)
write = review.agent()(writer)
judge = review.agent()(critic)
incident >> [limit, past]
[incident, limit, past] >> write >> judge
judge.when("verdict == 'redo'") >> write
review.output("note", write)
