"""Units for the job topics, from the files of a set."""

from collections.abc import Mapping
from typing import Any

from tests.jobs.graph import Units
from unitd.model.dependencies import Dep
from unitd.model.states import Load
from unitd.model.unit import Origin, Unit

Loaded = Units

def load(files: Mapping[str, Any]) -> Units:
    deps={}; settings={}; loads={}; aliases={}; texts={}
    for path, text in files.items():
        if "/" in path: 
            d,n=path.split("/")
            owner,kind=d.rsplit(".",1)
            deps.setdefault(owner,{}).setdefault(Dep.WANTS if kind=="wants" else Dep.REQUIRES,{})[n]=Origin.FILE
            continue
        if isinstance(text, dict):
            if text["link"]=="/dev/null": loads[path]=Load.MASKED; texts[path]=""
            else: aliases.setdefault(text["link"],[]).append(path)
            continue
        texts[path]=text
    for name in list(texts):
        for l in texts[name].splitlines():
            if l.startswith(("Requires=","Wants=")):
                for o in l.split("=")[1].split():
                    if "@" in o:
                        t=o.split("@")[0]+"@.service"
                        if t in texts: texts[o]=texts[t]
    for name,text in texts.items():
        if "@." in name: continue
        d=deps.setdefault(name,{}); s=settings.setdefault(name,{})
        dd=True
        for l in text.splitlines():
            k,_,v=l.partition("=")
            if k in set(Dep):
                d.setdefault(Dep(k),{}).update(dict.fromkeys(v.split(),Origin.FILE))
            elif k=="DefaultDependencies": dd=v=="yes"
            elif v in ("yes","no"): s[k]=v=="yes"
            elif v: s[k]=v
        if dd and name.endswith(".service") and loads.get(name) is None:
            d.setdefault(Dep.REQUIRES,{})["sysinit.target"]=Origin.DEFAULT
            d.setdefault(Dep.AFTER,{}).update({"sysinit.target":Origin.DEFAULT,"basic.target":Origin.DEFAULT})
            d.setdefault(Dep.CONFLICTS,{})["shutdown.target"]=Origin.DEFAULT
            d.setdefault(Dep.BEFORE,{})["shutdown.target"]=Origin.DEFAULT
        if name.endswith(".service") and "ExecStart" not in s and loads.get(name) is None: loads[name]=Load.BAD_SETTING
    return Units([Unit(n,tuple(aliases.get(n,())),loads.get(n,Load.LOADED),settings=settings.get(n,{}),deps=deps.get(n,{})) for n in texts if "@." not in n])
