# %% [markdown]
# # Does the second stage help, and at which depth?
# Cells for a notebook (VS Code, Jupytext), or a script: `python examples/evaluate_demo.py`.
# Demo texts from MedQuAD (Ben Abacha & Demner-Fushman 2019, CC BY 4.0); no medical advice.

# %%
from itertools import islice

from twopass import BM25Index, CrossEncoder, fusion
from twopass.pipeline.apps.demo import FOLDER
from twopass.pipeline.evaluation import by_depth, cases, collect, open_collection

demo = open_collection(str(FOLDER))
qrels = dict(islice(demo.qrels.items(), 40))  # a sample, for a first look
index = BM25Index.build(demo.documents())

# %% [markdown]
# Find and score the candidates once; everything below is made of these scores.

# %%
pool = collect(index, CrossEncoder(), demo.queries, qrels, depth=10, k=20)
weighted = fusion("weighted", weights=[0.3, 0.7])
evaluation = pool.evaluate({"weighted": weighted}, measures=["nDCG@10", "MRR@10"])
for row in evaluation.rows():
    print(f"{row['system']:20} nDCG@10 {row['nDCG@10']['value']:.4f}")

# %% [markdown]
# How deep is deep enough, and which queries gained or lost?

# %%
curve = by_depth(pool, weighted)
for depth, mean, seconds in zip(curve.depths, curve.means, curve.seconds, strict=True):
    print(f"depth {depth:3}  {mean:.4f}  {1000 * seconds:6.1f} ms")
print("recommended:", curve.recommended)

# %%
won, lost = cases(evaluation, "fusion: weighted", qrels, most=2)
for case in (*won, *lost):
    print(f"{case.difference:+.3f}  {demo.queries[case.query]}")
