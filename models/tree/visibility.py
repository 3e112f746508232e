"""What of a trie is in sight: branches can be hidden, and end before nodes that were withdrawn."""

from collections.abc import Sequence

from tokexplore.models.tree.events import Edit, Hidden, Restored, Unhidden, Withdrawn
from tokexplore.models.tree.trie import ROOT, Branch, Trie


def is_hidden(trie: Trie, number: int) -> bool:
    """Whether a branch, or one that it comes from, is hidden."""
    while number:
        branch = trie.branch(number)
        if branch.hidden:
            return True
        if branch.root:
            return False
        fork = trie.fork_of(branch)
        number = trie.branch_of[fork]
        if trie.depth[fork] > trie.depth[trie.branch(number).tip]:
            return True
    return False


def is_out_of_sight(trie: Trie, node: int) -> bool:
    """Whether a node was withdrawn, or the branch that it is on is hidden."""
    number = trie.branch_of[node]
    return trie.depth[node] > trie.depth[trie.branch(number).tip] or is_hidden(trie, number)


def is_fork(trie: Trie, node: int) -> bool:
    """Whether two or more tokens were taken after `node`; hidden branches don't count."""
    heads = trie.children[node]
    return len(heads) > 1 and sum(not is_out_of_sight(trie, head) for head in heads) > 1


def end_through(trie: Trie, node: int) -> int:
    """The end of what is in sight from a node on: the tip of its branch, or of the first one that
    goes on there since the rest of that branch was taken back."""
    following: int | None = node
    while following is not None:
        node = trie.branch(trie.branch_of[following]).tip
        following = next((n for n in trie.children[node] if _goes_on(trie, n)), None)
    return node


def _goes_on(trie: Trie, head: int) -> bool:
    return not is_root_head(trie, head) and not is_out_of_sight(trie, head)


def is_root_head(trie: Trie, node: int) -> bool:
    """Whether a prompt of its own begins with a node: it comes from nothing before that."""
    branch = trie.branch(trie.branch_of[node])
    return branch.root and branch.head == node


def follower(trie: Trie, node: int) -> int:
    """A node that carries on the branch of its parent.

    Raises:
        ValueError: for any other.
    """
    if not trie.checked_node(node) or trie.branch_of[node] != trie.branch_of[trie.parent[node]]:
        raise ValueError(f"node {node} carries no branch on")
    return node


def hide(trie: Trie, number: int, *, hidden: bool) -> None:
    """Take a branch out of sight, with those that leave it, or bring it back.

    Raises:
        ValueError: for a branch that is not in the tree.
    """
    trie.checked_branch(number).hidden = hidden
    _reshape(trie)


def withdraw(trie: Trie, node: int, *, withdrawn: bool) -> None:
    """Let a branch end before `node`, or go on with it.

    Raises:
        ValueError: for a node that carries no branch on.
    """
    (trie.withdrawn.add if withdrawn else trie.withdrawn.discard)(follower(trie, node))
    _recount(trie, trie.branch(trie.branch_of[node]))
    _reshape(trie)


def _reshape(trie: Trie) -> None:
    """What is in sight has changed; a way out of sight no longer tells what others were."""
    trie.shape += 1
    end, _ = trie.way
    if end != ROOT and is_out_of_sight(trie, end):
        trie.way = ROOT, ()


def _recount(trie: Trie, branch: Branch) -> None:
    """Find the part of a branch that is in sight, and its figures."""
    node: int | None = branch.head
    branch.generated = branch.scored = 0
    branch.logprob_sum = 0.0
    while node is not None:
        branch.tip = node
        if trie.origin[node] != "prompt":
            branch.generated += 1
            branch.add_score(trie.logprob[node])
        node = next(iter(trie.children[node]), None)
        if node in trie.withdrawn:
            break


# What changes bring into sight


def begins(trie: Trie, change: Edit) -> int:
    """The first node that a change takes out of sight, or brings back; the root for any other."""
    match change:
        case Hidden(number) | Unhidden(number):
            return trie.branch(number).head
        case Withdrawn(node) | Restored(node):
            return node
    return ROOT


def shown_by(trie: Trie, changes: Sequence[Edit]) -> set[int]:
    """The nodes that are in sight with changes and are not without them, made or not made yet."""
    without, made = _shut(trie, changes)
    return _seen_more(trie, without, made)


def hidden_by(trie: Trie, changes: Sequence[Edit]) -> set[int]:
    """The nodes that are in sight without changes and are not with them, made or not made yet."""
    without, made = _shut(trie, changes)
    return _seen_more(trie, made, without)


def _shut(trie: Trie, changes: Sequence[Edit]) -> tuple[set[int], set[int]]:
    """The nodes from which on all is out of sight, without the changes and with them."""
    places = [(begins(trie, change), isinstance(change, Hidden | Withdrawn)) for change in changes]
    of_sight = [(node, shuts) for node, shuts in places if node != ROOT]
    made = trie.withdrawn | {branch.head for branch in trie.branches if branch.hidden}
    for node, shuts in of_sight:
        (made.add if shuts else made.discard)(node)
    without = set(made)
    for node, shuts in reversed(of_sight):
        (without.discard if shuts else without.add)(node)
    return without, made


def _seen_more(trie: Trie, shut: set[int], then: set[int]) -> set[int]:
    """The nodes that come into sight where `then` is shut in place of `shut`."""
    reached, seen = set[int](), set[int]()
    stack = [node for node in shut - then if _is_open(trie, node, then, reached)]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            children = trie.children[node]
            stack += [n for n in children if n not in then and not is_root_head(trie, n)]
    return seen


def _is_open(trie: Trie, node: int, shut: set[int], reached: set[int]) -> bool:
    """Whether nothing is shut on the way to a node; `reached` holds those of which it is known."""
    way = list[int]()
    while node != ROOT and node not in reached:
        if node in shut:
            return False
        way.append(node)
        node = ROOT if is_root_head(trie, node) else trie.parent[node]
    reached.update(way)
    return True
