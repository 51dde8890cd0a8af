"""A stand-in for course_utils.claims, as cells of small notebooks: it needs no torch.

It makes two claims about the seeds of the run: "small" holds for seeds below 100, "whole" for all.
"""

CLAIMS = """import json, os, pathlib
class ClaimFailed(Exception): pass
def report(notebook):
    seeds = [int(seed) for seed in os.environ.get("COURSE_SEEDS", "0,1,2,3,4").split(",")]
    records = [
        {"notebook": notebook, "claim": claim, "sentence": f"seeds are {claim}",
         "values": {str(seed): seed for seed in seeds}, "seeds": len(seeds), "bound": bound,
         "direction": "below", "seeds_held": sum(seed < bound for seed in seeds),
         "held": 2 * sum(seed < bound for seed in seeds) > len(seeds),
         "versions": "torch 1.0 (AVX9)"}
        for claim, bound in [("small", 100), ("whole", 10**5)]
    ]
    if "COURSE_CLAIMS" in os.environ:
        file = pathlib.Path(os.environ["COURSE_CLAIMS"]) / f"{notebook}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(records))
    for record in records:
        verdict = "HOLDS" if record["held"] else "FAILS"
        print(f"{verdict}  {record['claim']}: {record['sentence']} [below {record['bound']:g}]")
    short = [record["claim"] for record in records if not record["held"]]
    if short:
        raise ClaimFailed(f"does not hold: {short}")"""
FAILING = CLAIMS.replace('("small", 100)', '("small", 2)')  # two of the five seeds
LOGS = "open('ran', 'a').write(__import__('os').environ['COURSE_SEEDS'] + ' ')"
