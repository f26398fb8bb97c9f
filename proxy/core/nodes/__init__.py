"""The nodes that there are: `node_table`, with their paths and states; `nearness`, where near ones are preferred;
`pings`, the questions to one of them in their order."""
